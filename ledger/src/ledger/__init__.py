"""The durable record of every task, from accepted to outcome."""

from ledger.accept import Accepted, AcceptedBefore, ResetToken, Submission, accept, insert_tasks
from ledger.accounting import Account, take_account
from ledger.alerts import AlertPolicy, Digest, Group, count_failures, digest_due, end_window
from ledger.cancelling import Cancellation, Prevented, Stopping, TooLate, cancel
from ledger.cursors import BadCursorError
from ledger.fingerprint import fingerprint, normalised
from ledger.holding import Feed, held_kinds, take_held
from ledger.idempotency import IdempotentCall, KeyReusedError, look_up
from ledger.measures import Measures, measure
from ledger.merging import Failure, Merged, apply_events
from ledger.migrate import SchemaError, require_current, upgrade
from ledger.outbox import Sweep, forget_published, forget_swept, next_due, put_back, take_due
from ledger.patience import Patience, PatienceSettings
from ledger.queries import (
    Page,
    Task,
    TaskFilter,
    TimelineEntry,
    get_task,
    get_timeline,
    list_tasks,
)
from ledger.reconciling import Look, Overdue, is_any_overdue, reconcile
from ledger.recurrence import BadRecurrenceError, Recurrence, check_cron, zone_of
from ledger.releasing import Release, ReleaseLook, event_of, next_slot, release_due
from ledger.resets import Redeemed, Redemption, Refusal, redeem
from ledger.schedules import (
    Change,
    ChangedMeanwhileError,
    Created,
    CreatedBefore,
    Missed,
    NameTakenError,
    NeverDueError,
    NewSchedule,
    Plan,
    Schedule,
    SchedulePage,
    TooManySchedulesError,
    change_schedules,
    create_schedules,
    delete_schedules,
    get_schedule,
    list_schedules,
)
from ledger.states import Subtask
from ledger.tasks import HIGH_PRIORITY, LOW_PRIORITY, NewTask, PendingMessage, Slot, new_task_id
from ledger.unplaced import Range, Unplaced

__all__ = [
    "HIGH_PRIORITY",
    "LOW_PRIORITY",
    "Accepted",
    "AcceptedBefore",
    "Account",
    "AlertPolicy",
    "BadCursorError",
    "BadRecurrenceError",
    "Cancellation",
    "Change",
    "ChangedMeanwhileError",
    "Created",
    "CreatedBefore",
    "Digest",
    "Failure",
    "Feed",
    "Group",
    "IdempotentCall",
    "KeyReusedError",
    "Look",
    "Measures",
    "Merged",
    "Missed",
    "NameTakenError",
    "NeverDueError",
    "NewSchedule",
    "NewTask",
    "Overdue",
    "Page",
    "Patience",
    "PatienceSettings",
    "PendingMessage",
    "Plan",
    "Prevented",
    "Range",
    "Recurrence",
    "Redeemed",
    "Redemption",
    "Refusal",
    "Release",
    "ReleaseLook",
    "ResetToken",
    "Schedule",
    "SchedulePage",
    "SchemaError",
    "Slot",
    "Stopping",
    "Submission",
    "Subtask",
    "Sweep",
    "Task",
    "TaskFilter",
    "TimelineEntry",
    "TooLate",
    "TooManySchedulesError",
    "Unplaced",
    "accept",
    "apply_events",
    "cancel",
    "change_schedules",
    "check_cron",
    "count_failures",
    "create_schedules",
    "delete_schedules",
    "digest_due",
    "end_window",
    "event_of",
    "fingerprint",
    "forget_published",
    "forget_swept",
    "get_schedule",
    "get_task",
    "get_timeline",
    "held_kinds",
    "insert_tasks",
    "is_any_overdue",
    "list_schedules",
    "list_tasks",
    "look_up",
    "measure",
    "new_task_id",
    "next_due",
    "next_slot",
    "normalised",
    "put_back",
    "reconcile",
    "redeem",
    "release_due",
    "require_current",
    "take_account",
    "take_due",
    "take_held",
    "upgrade",
    "zone_of",
]
