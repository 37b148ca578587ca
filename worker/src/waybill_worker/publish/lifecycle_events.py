"""Outcomes as lifecycle events."""

from dataclasses import replace
from datetime import datetime

from waybill_contracts.wire.envelope import Envelope
from waybill_contracts.wire.lifecycle import (
    DeadReason,
    ErrorInfo,
    LifecycleData,
    LifecycleEvent,
    LifecycleType,
    lifecycle_event,
)
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.inbox.claims import Superseded
from waybill_worker.outcome import Cancelled, Completed, Died, Outcome, RetryLater, Snoozed


def started_event(attempt: Attempt, at: datetime) -> LifecycleEvent:
    """An attempt begins."""
    data = LifecycleData(
        task_id=attempt.task_id,
        service=attempt.service,
        kind=attempt.kind,
        redrive_no=attempt.redrive_no,
        attempt=attempt.attempt,
        snooze_no=attempt.snooze_no,
        max_attempts=attempt.max_attempts,
    )
    return lifecycle_event(LifecycleType.STARTED, at, data)


def outcome_event(service: str, of: Envelope | Attempt, outcome: Outcome) -> LifecycleEvent:
    """What came of an attempt."""
    data = LifecycleData(
        task_id=of.task_id,
        service=service,
        kind=of.kind,
        redrive_no=of.redrive_no,
        attempt=of.attempt,
        snooze_no=of.snooze_no,
        max_attempts=outcome.max_attempts,
        seconds=outcome.seconds,
        result=outcome.result if isinstance(outcome, Completed) else None,
        error=None if isinstance(outcome, Completed) else outcome.error,
        reason=outcome.reason if isinstance(outcome, Died) else None,
        next_attempt_at=outcome.next_attempt_at if isinstance(outcome, RetryLater | Snoozed) else None,
    )
    return lifecycle_event(_TYPES[type(outcome)], outcome.at, data)


def superseding_event(copy: Attempt, superseded: Superseded, at: datetime) -> LifecycleEvent:
    """What a service knows already, for whoever sent `copy` without knowing it."""
    existing = replace(copy, attempt=superseded.attempt, snooze_no=superseded.snooze_no)
    if superseded.outcome is None:
        return started_event(existing, at)
    return outcome_event(existing.service, existing, superseded.outcome)


def unreadable_event(service: str, envelope: Envelope, error: ErrorInfo, at: datetime) -> LifecycleEvent:
    """A message whose envelope was readable, but nothing more."""
    data = LifecycleData(
        task_id=envelope.task_id,
        service=service,
        kind=envelope.kind,
        redrive_no=envelope.redrive_no,
        attempt=envelope.attempt,
        snooze_no=envelope.snooze_no,
        max_attempts=envelope.max_attempts or envelope.attempt,
        error=error,
        reason=DeadReason.UNREADABLE,
    )
    return lifecycle_event(LifecycleType.DEAD, at, data)


_TYPES = {
    Completed: LifecycleType.COMPLETED,
    RetryLater: LifecycleType.RETRYING,
    Snoozed: LifecycleType.SNOOZED,
    Died: LifecycleType.DEAD,
    Cancelled: LifecycleType.CANCELLED,
}
