"""Decide what follows an attempt that did not complete."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from waybill_contracts.wire import MAX_ERROR_MESSAGE_LENGTH, ErrorInfo
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.retry_policy import GiveUp, Retry, Snooze, after_failure, after_snooze
from waybill_worker.attempt.work import Work
from waybill_worker.broker import round_up
from waybill_worker.errors import (
    HandlerDiedError,
    HandlerError,
    HardTimeLimitExceeded,
    SnoozeError,
    SoftTimeLimitExceeded,
    UnansweredError,
    UncertainError,
)
from waybill_worker.failure_location import failure_location
from waybill_worker.observe import get_logger
from waybill_worker.outcome import Died, RetryLater, Snoozed

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt that did not complete."""

    error: Exception
    #: How long it ran.
    seconds: float
    #: When this attempt was first claimed; it may have been snoozed since.
    attempt_since: datetime
    #: The handler had announced its effect.
    effect_begun: bool = False

    @property
    def is_in_doubt(self) -> bool:
        """Whether the effect may have happened; an answer of the other side leaves no doubt."""
        cut_off = isinstance(self.error, SoftTimeLimitExceeded | HardTimeLimitExceeded | HandlerDiedError)
        return isinstance(self.error, UncertainError | UnansweredError) or (cut_off and self.effect_begun)


def outcome_of(failed: Failed, work: Work, attempt: Attempt, now: datetime) -> RetryLater | Snoozed | Died:
    """The outcome: the same attempt later, another one, or none."""
    info = ErrorInfo.of(failed.error, work.mask)
    decision = _decision(failed, work, attempt, now)
    if isinstance(decision, GiveUp):
        if isinstance(failed.error, SnoozeError):
            info = _put_off_too_long(info, attempt, failed.attempt_since, now)
        log.error("attempt failed for good", error=str(info), reason=decision.reason, exc_info=failed.error)
        return Died(
            at=now,
            seconds=failed.seconds,
            max_attempts=attempt.max_attempts,
            error=info,
            reason=decision.reason,
            where=failure_location(failed.error, work.handler.function, work.mask),
        )
    wait = round_up(decision.seconds)
    if isinstance(decision, Snooze):
        log.info(
            "attempt put off, which does not count",
            error=str(info),
            wait_seconds=wait,
            snooze_no=attempt.snooze_no,
        )
        return Snoozed(
            at=now,
            seconds=failed.seconds,
            max_attempts=attempt.max_attempts,
            error=info,
            wait_seconds=wait,
            next_attempt_at=now + timedelta(seconds=wait),
        )
    # An error that no handler raises on purpose may be a defect. It is logged with its traceback now, because
    # the next attempt may succeed, or be hours away.
    defect = None if isinstance(failed.error, HandlerError) else failed.error
    log.warning("attempt failed, another one follows", error=str(info), wait_seconds=wait, exc_info=defect)
    return RetryLater(
        at=now,
        seconds=failed.seconds,
        max_attempts=attempt.max_attempts,
        error=info,
        wait_seconds=wait,
        next_attempt_at=now + timedelta(seconds=wait),
        in_doubt=failed.is_in_doubt,
    )


def _put_off_too_long(info: ErrorInfo, attempt: Attempt, since: datetime, now: datetime) -> ErrorInfo:
    """The error of an attempt that may not be snoozed any more, with how long it was."""
    waited = timedelta(seconds=round((now - since).total_seconds()))
    before = f"Put off {attempt.snooze_no} times in {waited}, and no more; the last time: "
    message = (before + info.message)[:MAX_ERROR_MESSAGE_LENGTH]
    return ErrorInfo(type=info.type, message=message)


def _decision(failed: Failed, work: Work, attempt: Attempt, now: datetime) -> Retry | Snooze | GiveUp:
    policy = work.handler.policy
    if isinstance(failed.error, SnoozeError):
        return after_snooze(
            failed.error,
            policy=policy,
            snooze_no=attempt.snooze_no,
            attempt_since=failed.attempt_since,
            deadline=attempt.deadline,
            now=now,
            draw=random.random,
        )
    return after_failure(
        failed.error,
        policy=policy,
        attempt=attempt.attempt,
        max_attempts=attempt.max_attempts,
        deadline=attempt.deadline,
        now=now,
        draw=random.random,
        when_uncertain=work.when_uncertain,
    )
