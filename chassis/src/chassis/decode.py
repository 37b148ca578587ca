"""Step one: bytes and headers into an event that its contract accepts."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from chassis.attempt import Attempt
from chassis.delivery import Delivery
from chassis.handling import Handler
from contracts.envelope import Envelope, EnvelopeError
from contracts.events import TaskEvent


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
        )


def decode(delivery: Delivery, handlers: Mapping[str, Handler]) -> Work:
    """Reads a delivery.

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
    if envelope.dataschema != handler.event.dataschema():
        raise UnreadableError(
            f"{envelope.dataschema} is not the version that is understood: {handler.event.dataschema()}",
            envelope,
        )
    try:
        event = handler.event.model_validate_json(delivery.body)
    except ValidationError as error:
        # Field names and rules only: the values may be private.
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors())
        raise UnreadableError(f"the body breaks its contract: {faults}", envelope) from None
    return Work(envelope, event, handler)
