"""Step one: bytes and headers into an event that its contract accepts."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from waybill_contracts.kinds.task_event import TaskEvent, WhenUncertain
from waybill_contracts.privacy.mask import NO_MASK, Mask
from waybill_contracts.privacy.seal import Keyring, UnknownKeyError
from waybill_contracts.versions.event_reader import UnfitError, opener, read_event
from waybill_contracts.wire.envelope import Envelope, EnvelopeError
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.handlers import Handler
from waybill_worker.broker.delivery import Delivery
from waybill_worker.errors import SnoozeError


class UnreadableError(Exception):
    """The message is none that this service can take; no retry will change that."""

    def __init__(self, message: str, envelope: Envelope | None = None) -> None:
        super().__init__(message)
        #: What could be read of it, if anything: enough to report the subtask as dead.
        self.envelope = envelope


@dataclass(frozen=True)
class Work:
    """A message that was understood, or will be once its key is here."""

    envelope: Envelope
    #: What it says, its sealed fields opened; or why they cannot be opened here.
    event: TaskEvent | UnknownKeyError
    handler: Handler

    @property
    def when_uncertain(self) -> WhenUncertain:
        """What the event asks for when its effect may have happened."""
        # One that cannot be opened has no effect here, so that trying it again is no risk.
        return WhenUncertain.RESEND if isinstance(self.event, UnknownKeyError) else self.event.when_uncertain

    @cached_property
    def mask(self) -> Mask:
        """Hides what is sensitive in it, wherever somebody repeats it."""
        return NO_MASK if isinstance(self.event, UnknownKeyError) else Mask.of(self.event)

    async def run(self, attempt: Attempt) -> dict[str, Any] | None:
        """Runs the handler.

        Raises:
            SnoozeError: the key is missing, which is a fault of our configuration, not of the work.
            Exception: what the handler raises.
        """
        if isinstance(self.event, UnknownKeyError):
            raise SnoozeError(str(self.event))
        return await self.handler.function(self.event, attempt)

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


def decode(delivery: Delivery, handlers: Mapping[str, Handler], keyring: Keyring) -> Work:
    """Reads a delivery, of the current version or of an older one that can be brought up.

    Args:
        delivery: the message.
        handlers: by the kind that each consumes.
        keyring: opens what is sealed in it.

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
        reading = read_event(
            handler.event, envelope.dataschema, delivery.body, opened=opener(keyring, envelope.task_id)
        )
    except UnfitError as unfit:
        raise UnreadableError(f"the message breaks its contract: {unfit}", envelope) from None
    except UnknownKeyError as unknown:
        return Work(envelope, unknown, handler)
    return Work(envelope, reading.event, handler)
