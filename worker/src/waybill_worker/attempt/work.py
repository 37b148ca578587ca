"""The work that a message asks for: its event, and the handler of its kind."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from waybill_contracts.events import Event, WhenUncertain
from waybill_contracts.privacy import NO_MASK, Mask
from waybill_contracts.wire import Envelope
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.handlers import Handler
from waybill_worker.errors import NotReadableYetError
from waybill_worker.inbox import Claimed


@dataclass(frozen=True)
class Work:
    """A message that was understood, or that another process may understand."""

    envelope: Envelope
    #: What it says, its sealed fields opened; or why this process cannot read it.
    event: Event | NotReadableYetError
    handler: Handler

    @property
    def when_uncertain(self) -> WhenUncertain:
        """What the event asks for when its effect may have happened."""
        if isinstance(self.event, NotReadableYetError):
            return WhenUncertain.RESEND  # it has no effect here, so that trying it again is no risk
        return self.event.when_uncertain

    @cached_property
    def mask(self) -> Mask:
        """Hides what is sensitive in it, wherever somebody repeats it."""
        return NO_MASK if isinstance(self.event, NotReadableYetError) else Mask.of(self.event)

    @property
    def is_long(self) -> bool:
        """Whether its message is acknowledged before the attempt has ended."""
        return self.handler.limits.is_long and not isinstance(self.event, NotReadableYetError)

    @property
    def max_attempts(self) -> int:
        """How many attempts there may be: as the message says, or else the policy."""
        return self.envelope.max_attempts or self.handler.policy.max_attempts

    def snoozed(self, max_attempts: int) -> Envelope:
        """The envelope of the same attempt after a snooze."""
        # A process that cannot read the message may not know the policy of its kind.
        is_unread = isinstance(self.event, NotReadableYetError)
        return self.envelope.snoozed(self.envelope.max_attempts if is_unread else max_attempts)

    def attempt(self, service: str, claim: Claimed, now: datetime, correlation_id: str | None) -> Attempt:
        """The attempt that was claimed for the message, as its handler gets it."""
        envelope = self.envelope
        return Attempt(
            task_id=envelope.task_id,
            service=service,
            kind=envelope.kind,
            correlation_id=correlation_id or envelope.task_id,
            attempt=envelope.attempt,
            max_attempts=self.max_attempts,
            redrive_no=envelope.redrive_no,
            deadline=self._deadline(claim.life_since or now),
            snooze_no=envelope.snooze_no,
            edit_no=envelope.edit_no,
            in_doubt=claim.in_doubt,
        )

    def _deadline(self, life_since: datetime) -> datetime | None:
        """The earlier of the message's deadline and of the policy's for the subtask's whole life."""
        deadline, seconds = self.envelope.deadline, self.handler.policy.deadline_seconds
        if seconds is None:
            return deadline
        end = life_since + timedelta(seconds=seconds)
        return end if deadline is None else min(deadline, end)
