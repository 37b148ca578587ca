"""Counts the changes of subtasks and tasks: each once, because a repeated report changes nothing."""

from datetime import timedelta
from typing import Any, Final

from waybill_contracts.wire import LifecycleEvent, LifecycleType
from waybill_ledger.counts import Row, Tally, place_of
from waybill_ledger.progress.states import FINISHED, Subtask, task_state

# Compared one by one, and bound here: to find a member in a dictionary, or in its class, takes longer than
# all the rest.
_STARTED, _CANCELLED = LifecycleType.STARTED, LifecycleType.CANCELLED
_POSTPONED: Final = (
    (LifecycleType.RETRYING, place_of("retries")),
    (LifecycleType.SNOOZED, place_of("snoozes")),
)
_ENDED: Final = tuple((state, place_of(state.value), place_of(f"tasks_{state.value}")) for state in FINISHED)
_ATTEMPTS: Final = place_of("attempts")


def count_change(
    tally: Tally, task: Any, before: Subtask, event: LifecycleEvent, after: Subtask
) -> timedelta | None:
    """Counts what an event has changed of a subtask.

    Args:
        tally: of the transaction.
        task: its row.
        before: the subtask.
        event: has changed it.
        after: what it has become, at another position.

    Returns:
        Time since the subtask was due, if the event is the start of its first attempt.
    """
    data, type_ = event.data, event.type
    row = tally.row(event.time, (task.tenant, task.kind, before.service))
    known = before.attempt if before.redrive_no == after.redrive_no else 0
    # An outcome may name an attempt that never ran: it was cancelled, past its deadline, or parked.
    has_run = type_ is _STARTED or (bool(data.seconds) and type_ is not _CANCELLED)
    if (begun := after.attempt - known - (not has_run)) > 0:
        row.add(_ATTEMPTS, begun)
    if type_ is _STARTED:
        if before.attempt or data.attempt != 1 or data.redrive_no:
            return None
        waited: timedelta = event.time - (task.due_at or task.created_at)
        row.add_pickup_seconds(waited.total_seconds())
        return waited
    if data.seconds:
        row.add_handler_seconds(data.seconds)
    # The same outcome of another attempt is none.
    if after.state is not before.state or known != before.attempt:
        _count_end(row, after)
    for postponed, place in _POSTPONED:
        if type_ is postponed:
            row.add(place)
    return None


def count_outcome(tally: Tally, task: Any, before: dict[str, Subtask], last: Subtask, outcome: Any) -> None:
    """Counts the outcome of a task, if it had another one or none.

    Args:
        tally: of the transaction.
        task: its row.
        before: its subtasks as they were, by service.
        last: the subtask that has ended last.
        outcome: state of the task.
    """
    states = [subtask.state for subtask in before.values()]
    if (states[0] if len(states) == 1 else task_state(states)) is outcome:
        return
    for state, _, place in _ENDED:
        if outcome is state:
            tally.row(last.updated_at, (task.tenant, task.kind, last.service)).add(place)


def _count_end(row: Row, after: Subtask) -> None:
    for state, place, _ in _ENDED:
        if after.state is state:
            row.add(place)
