"""Step one: bytes and headers into an event that its contract accepts."""

from collections.abc import Mapping
from dataclasses import dataclass

from chassis.attempt import Attempt
from chassis.delivery import Delivery
from chassis.handling import Handler
from contracts.envelope import Envelope, EnvelopeError
from contracts.events import TaskEvent
from contracts.reading import UnfitError, read_event


class UnreadableError(Exception):
    """The message is none that this service can take; no retry will change that."""

    def __init__(self, message: str, envelope: Envelope | None = None) -> None:
        super().__init__(message)
        #: What could be read of it, if anything: enough to report the subtask as dead.
        self.envelope = envelope


@dataclass(frozen=True, slots=True)
class Work:
    """A message that was understood."""

    envelope: Envelope
    event: TaskEvent
    handler: Handler

    def attempt(self, service: str, correlation_id: str | None) -> Attempt:
        """The attempt that the message asks for, as its handler is told about it."""
        envelope = self.envelope
        return Attempt(
            task_id=envelope.task_id,
            service=service,
            kind=envelope.kind,
            correlation_id=correlation_id or envelope.task_id,
            attempt=envelope.attempt,
            max_attempts=envelope.max_attempts or self.handler.policy.max_attempts,
            redrive_no=envelope.redrive_no,
            deadline=envelope.deadline,
            snooze_no=envelope.snooze_no,
            edit_no=envelope.edit_no,
        )


def decode(delivery: Delivery, handlers: Mapping[str, Handler]) -> Work:
    """Reads a delivery, of the current version or of an older one that can be brought up.

    Raises:
        UnreadableError: damaged headers, a kind or version that is not ours, or a body against the contract.
    """
    try:
        envelope = Envelope.from_headers(delivery.headers)
    except EnvelopeError as error:
        raise UnreadableError(str(error)) from error
    handler = handlers.get(envelope.kind)
    if handler is None:
        raise UnreadableError(f"kind {envelope.kind} is none of {', '.join(sorted(handlers))}", envelope)
    try:
        reading = read_event(handler.event, envelope.dataschema, delivery.body)
    except UnfitError as unfit:
        raise UnreadableError(f"the message breaks its contract: {unfit}", envelope) from None
    return Work(envelope, reading.event, handler)
