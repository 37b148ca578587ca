"""Putting back what went silent: the same attempt again for every subtask whose sign of life is overdue.

A subtask without an outcome has a time at which its next sign of life is due: a pending one from when it was
accepted, released or swept, a running one from its attempt's start, a retrying one from when its next attempt
is due. How long after that it counts as overdue is the reconciler's patience. If the original was alive after
all, its service's inbox drops or delays the copy (`waybill_worker.inbox.claims`).
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

from waybill_contracts.wire.names import EXCHANGE_CONTROL, EXCHANGE_DEFAULT, work_queue
from waybill_contracts.wire.states import State
from waybill_ledger.progress.stall_timeouts import StallTimeouts
from waybill_ledger.progress.states import due_next
from waybill_ledger.schema.tables import OUTBOX, SUBTASKS, TASKS

#: Each time the same subtask is put back the patience doubles, so that a long queue is not filled with
#: copies; after this many doublings it stays.
MOST_DOUBLINGS: Final = 6
#: What was called off is told to the services again, and that is to reach them before the attempt does.
CONTROL_LEAD: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Look:
    """A wish to find, or to put back, what is overdue."""

    now: datetime
    patience: StallTimeouts
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
    #: Whether the task was called off, so that this is told again as well.
    is_called_off: bool
    #: How often it has been put back since its last sign of life, this time included.
    times: int


def is_any_overdue(connection: Connection, look: Look) -> bool:
    """Whether `reconcile` would find something; takes no lock."""
    return connection.execute(overdue_query(look).limit(1)).first() is not None


def reconcile(connection: Connection, looks: Sequence[Look]) -> Sequence[list[Overdue]]:
    """Puts overdue subtasks back into the outbox, for their service alone; a batch write for `Records.write`.

    Never a second row for one subtask: what is in the outbox already is left alone, and what was put back is
    due again only after twice the patience of the time before. Two callers at once find different ones.
    """
    return [_reconcile(connection, look) for look in looks]


def is_silent(cut: ColumnElement[datetime] | datetime) -> ColumnElement[bool]:
    """Condition: the subtask's sign of life was due before `cut`, and nothing of its task is in the outbox.

    What is in the outbox cannot have begun, and the sweep looks after it.
    """
    waits = exists().where(OUTBOX.c.task_id == SUBTASKS.c.task_id).correlate(SUBTASKS)
    return and_(SUBTASKS.c.expected_at <= cut, ~waits)


def overdue_query(look: Look) -> Select[Any]:
    """Finds subtasks that are overdue; which index it uses is held by a test."""
    patience = look.patience
    shortest = min(patience.pending, patience.running, patience.retrying)
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
            is_silent(look.now - shortest),
            or_(
                *(
                    and_(SUBTASKS.c.state == state, SUBTASKS.c.expected_at <= look.now - patience.of(state))
                    for state in State
                    if not state.is_terminal
                )
            ),
        )
    )


def _reconcile(connection: Connection, look: Look) -> list[Overdue]:
    # Both rows are locked, the task's like the merge does, and locked ones are passed over: whoever holds
    # them has just seen a sign of life, or is another reconciler.
    rows = connection.execute(
        overdue_query(look)
        .order_by(SUBTASKS.c.expected_at)
        .limit(look.most)
        .with_for_update(skip_locked=True, of=(TASKS, SUBTASKS))
    ).all()
    if not rows:
        return []
    found = [_found(row) for row in rows]
    called_off = sorted({overdue.task_id for overdue in found if overdue.is_called_off})
    rows_out = [_control_row(task_id, look.now) for task_id in called_off]
    connection.execute(insert(OUTBOX), rows_out + [_outbox_row(overdue, look.now) for overdue in found])
    connection.execute(_MOVE_AHEAD, [_moved_ahead(overdue, look) for overdue in found])
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
        is_called_off=row.cancel_requested_at is not None,
        times=row.reconciled + 1,
    )


def _outbox_row(overdue: Overdue, now: datetime) -> dict[str, object]:
    return {
        "task_id": overdue.task_id,
        # Not the tasks exchange: the kind's other services have nothing to do with it.
        "exchange": EXCHANGE_DEFAULT,
        "routing_key": work_queue(overdue.service),
        "attempt": overdue.attempt,
        "snooze_no": overdue.snooze_no,
        "redrive_no": overdue.redrive_no,
        "available_at": now + CONTROL_LEAD if overdue.is_called_off else now,
    }


def _control_row(task_id: str, now: datetime) -> dict[str, object]:
    return {
        "task_id": task_id,
        "exchange": EXCHANGE_CONTROL,
        "routing_key": "",
        "attempt": 1,
        "snooze_no": 0,
        "redrive_no": 0,
        "available_at": now,
    }


def _moved_ahead(overdue: Overdue, look: Look) -> dict[str, object]:
    patience = look.patience.of(overdue.state)
    following = patience * (1 << min(overdue.times, MOST_DOUBLINGS))
    return {
        "b_task_id": overdue.task_id,
        "b_service": overdue.service,
        # The query adds the patience once.
        "b_expected_at": look.now + following - patience,
        "b_reconciled": overdue.times,
    }


_MOVE_AHEAD = (
    update(SUBTASKS)
    .where(SUBTASKS.c.task_id == bindparam("b_task_id"), SUBTASKS.c.service == bindparam("b_service"))
    .values(expected_at=bindparam("b_expected_at"), reconciled=bindparam("b_reconciled"))
)
