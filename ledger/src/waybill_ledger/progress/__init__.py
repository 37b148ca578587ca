"""What happens to tasks: merged lifecycle events, reconciliation, alerts."""

from waybill_ledger.progress.alerts import (
    AlertPolicy,
    Digest,
    Group,
    count_failures,
    digest_due,
    end_window,
    erase_samples,
)
from waybill_ledger.progress.erased_words import ERASED, erased_error, has_words, without_words
from waybill_ledger.progress.fingerprint import fingerprint, normalised
from waybill_ledger.progress.merge import Failure, Merged, Spawned, apply_events
from waybill_ledger.progress.reconciliation import (
    Overdue,
    OverdueSearch,
    is_any_overdue,
    is_silent,
    reconcile,
)
from waybill_ledger.progress.stall_timeouts import StallTimeouts, StallTimeoutSettings
from waybill_ledger.progress.states import FINISHED, Subtask, due_next, redriven_position, task_state

__all__ = [
    "ERASED",
    "FINISHED",
    "AlertPolicy",
    "Digest",
    "Failure",
    "Group",
    "Merged",
    "Overdue",
    "OverdueSearch",
    "Spawned",
    "StallTimeoutSettings",
    "StallTimeouts",
    "Subtask",
    "apply_events",
    "count_failures",
    "digest_due",
    "due_next",
    "end_window",
    "erase_samples",
    "erased_error",
    "fingerprint",
    "has_words",
    "is_any_overdue",
    "is_silent",
    "normalised",
    "reconcile",
    "redriven_position",
    "task_state",
    "without_words",
]
