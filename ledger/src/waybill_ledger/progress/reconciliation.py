"""Reconciliation: publishes the same attempt again for every subtask with an overdue heartbeat.

A subtask without an outcome has a time at which its next heartbeat is due: of a pending one when it was
accepted, released or published, of a running one the start of its attempt, of a retrying one the time of its
next attempt. A stall timeout later it is overdue. If the original is still alive, the inbox of its service
drops or delays the copy (`waybill_worker.inbox.claims`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    insert,
    or_,
    select,
    update,
)

from waybill_contracts.states import State
from waybill_contracts.wire import EXCHANGE_DEFAULT, work_queue
from waybill_ledger.outbox import cancellation_row
from waybill_ledger.progress.stall_timeouts import StallTimeouts
from waybill_ledger.progress.states import due_next
from waybill_ledger.schema import OUTBOX, SUBTASKS, TASKS

#: Each time a subtask is put back its timeout doubles, up to this many doublings, so that a long queue is not
#: filled with copies.
MOST_DOUBLINGS: Final = 6
#: A cancellation is sent to the services again, and must reach them before the attempt does.
CONTROL_LEAD: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class OverdueSearch:
    """Request to find or put back overdue subtasks."""

    now: datetime
    timeouts: StallTimeouts
    most: int


@dataclass(frozen=True, slots=True)
class Overdue:
    """A subtask that was put back."""

    task_id: str
    kind: str
    service: str
    state: State
    #: The attempt that was put back.
    attempt: int
    snooze_no: int
    redrive_no: int
    expected_at: datetime
    #: Whether cancellation of the task was requested, so that this is sent again as well.
    is_cancel_requested: bool
    #: How often it was put back since its last heartbeat, including this time.
    times: int


def is_any_overdue(connection: Connection, search: OverdueSearch) -> bool:
    """Whether `reconcile` would find a subtask; takes no lock."""
    return connection.execute(overdue_query(search).limit(1)).first() is not None


def reconcile(connection: Connection, searches: Sequence[OverdueSearch]) -> Sequence[list[Overdue]]:
    """Puts overdue subtasks back into the outbox, for their service alone; a batch write for `Records.write`.

    Never adds a second row for one subtask: a subtask in the outbox is ignored, and one that was put back is
    overdue again only after twice the previous timeout. Concurrent callers find different subtasks.
    """
    return [_reconcile(connection, search) for search in searches]


def is_silent(cut: ColumnElement[datetime] | datetime) -> ColumnElement[bool]:
    """Condition: the heartbeat of the subtask was due before `cut`, and its task has no row in the outbox.

    A task in the outbox cannot have begun, and the relay publishes it.
    """
    waits = exists().where(OUTBOX.c.task_id == SUBTASKS.c.task_id).correlate(SUBTASKS)
    return and_(SUBTASKS.c.expected_at <= cut, ~waits)


def overdue_query(search: OverdueSearch) -> Select[Any]:
    """Selects overdue subtasks; a test checks the index that it uses."""
    timeouts = search.timeouts
    shortest = min(timeouts.pending, timeouts.running, timeouts.retrying)
    return (
        select(
            SUBTASKS.c.task_id,
            TASKS.c.kind,
            TASKS.c.cancel_requested_at,
            SUBTASKS.c.service,
            SUBTASKS.c.state,
            SUBTASKS.c.attempt,
            SUBTASKS.c.position,
            SUBTASKS.c.redrive_no,
            SUBTASKS.c.expected_at,
            SUBTASKS.c.reconciled,
        )
        .join(TASKS, TASKS.c.id == SUBTASKS.c.task_id)
        .where(
            is_silent(search.now - shortest),
            or_(
                *(
                    and_(SUBTASKS.c.state == state, SUBTASKS.c.expected_at <= search.now - timeouts.of(state))
                    for state in State
                    if not state.is_terminal
                )
            ),
        )
    )


def _reconcile(connection: Connection, search: OverdueSearch) -> list[Overdue]:
    # Locks both rows, that of the task like the merge does, and skips locked ones: their writer has just seen
    # a heartbeat, or is another reconciler.
    rows = connection.execute(
        overdue_query(search)
        .order_by(SUBTASKS.c.expected_at)
        .limit(search.most)
        .with_for_update(skip_locked=True, of=(TASKS, SUBTASKS))
    ).all()
    if not rows:
        return []
    found = [_found(row) for row in rows]
    rows_out = [
        cancellation_row(overdue.task_id, overdue.service, search.now)
        for overdue in found
        if overdue.is_cancel_requested
    ]
    connection.execute(insert(OUTBOX), rows_out + [_outbox_row(overdue, search.now) for overdue in found])
    connection.execute(_MOVE_AHEAD, [_moved_ahead(overdue, search) for overdue in found])
    return found


def _found(row: Row[Any]) -> Overdue:
    state = State(row.state)
    attempt, snooze_no = due_next(state, row.attempt, row.position)
    return Overdue(
        task_id=row.task_id,
        kind=row.kind,
        service=row.service,
        state=state,
        attempt=attempt,
        snooze_no=snooze_no,
        redrive_no=row.redrive_no,
        expected_at=row.expected_at,
        is_cancel_requested=row.cancel_requested_at is not None,
        times=row.reconciled + 1,
    )


def _outbox_row(overdue: Overdue, now: datetime) -> dict[str, object]:
    return {
        "task_id": overdue.task_id,
        # Not the tasks exchange: the other services of the kind have no part in it.
        "exchange": EXCHANGE_DEFAULT,
        "routing_key": work_queue(overdue.service),
        "attempt": overdue.attempt,
        "snooze_no": overdue.snooze_no,
        "redrive_no": overdue.redrive_no,
        "available_at": now + CONTROL_LEAD if overdue.is_cancel_requested else now,
    }


def _moved_ahead(overdue: Overdue, search: OverdueSearch) -> dict[str, object]:
    timeout = search.timeouts.of(overdue.state)
    following = timeout * (1 << min(overdue.times, MOST_DOUBLINGS))
    return {
        "b_task_id": overdue.task_id,
        "b_service": overdue.service,
        # The query adds the timeout once.
        "b_expected_at": search.now + following - timeout,
        "b_reconciled": overdue.times,
    }


_MOVE_AHEAD = (
    update(SUBTASKS)
    .where(SUBTASKS.c.task_id == bindparam("b_task_id"), SUBTASKS.c.service == bindparam("b_service"))
    .values(expected_at=bindparam("b_expected_at"), reconciled=bindparam("b_reconciled"))
)
