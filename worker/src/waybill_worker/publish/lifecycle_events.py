"""Lifecycle events of attempts."""

from datetime import datetime
from typing import Any

from waybill_contracts.wire import (
    DeadReason,
    Envelope,
    ErrorInfo,
    LifecycleData,
    LifecycleEvent,
    LifecycleType,
    ProgressInfo,
    lifecycle_event,
)
from waybill_worker.outcome import Cancelled, Completed, Died, Outcome, RetryLater, Snoozed


def started_event(service: str, envelope: Envelope, max_attempts: int, at: datetime) -> LifecycleEvent:
    """The event of an attempt that begins."""
    data = LifecycleData(
        **_attempt(service, envelope),
        max_attempts=max_attempts,
    )
    return lifecycle_event(LifecycleType.STARTED, at, data)


def progress_event(
    service: str, envelope: Envelope, max_attempts: int, progress: ProgressInfo, at: datetime
) -> LifecycleEvent:
    """The event of the progress of an attempt that runs."""
    data = LifecycleData(
        **_attempt(service, envelope),
        max_attempts=max_attempts,
        progress=progress,
    )
    return lifecycle_event(LifecycleType.PROGRESS, at, data)


def outcome_event(service: str, envelope: Envelope, outcome: Outcome) -> LifecycleEvent:
    """The event of an attempt's outcome."""
    data = LifecycleData(
        **_attempt(service, envelope),
        max_attempts=outcome.max_attempts,
        seconds=outcome.seconds,
        has_files=True if outcome.has_files else None,
        result=outcome.result if isinstance(outcome, Completed) else None,
        spawned=outcome.spawned if isinstance(outcome, Completed) else None,
        error=None if isinstance(outcome, Completed) else outcome.error,
        reason=outcome.reason if isinstance(outcome, Died) else None,
        next_attempt_at=outcome.next_attempt_at if isinstance(outcome, RetryLater | Snoozed) else None,
    )
    return lifecycle_event(_TYPES[type(outcome)], outcome.at, data)


def unreadable_event(service: str, envelope: Envelope, error: ErrorInfo, at: datetime) -> LifecycleEvent:
    """The event of a message of which only the envelope is readable."""
    data = LifecycleData(
        **_attempt(service, envelope),
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


def _attempt(service: str, envelope: Envelope) -> dict[str, Any]:
    """What names the attempt in all of its events."""
    return {
        "task_id": envelope.task_id,
        "service": service,
        "kind": envelope.kind,
        "redrive_no": envelope.redrive_no,
        "attempt": envelope.attempt,
        "snooze_no": envelope.snooze_no,
    }
