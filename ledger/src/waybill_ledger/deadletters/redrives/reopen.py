"""Reopens failed subtasks for a redrive: state, timeline and outbox, in the transaction of the caller."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from waybill_contracts.states import State
from waybill_contracts.wire import EXCHANGE_DEFAULT, work_queue
from waybill_database import insert_new
from waybill_ledger.outbox import RELAY_GRACE, PendingMessage, messages_of
from waybill_ledger.progress import redriven_position, task_state
from waybill_ledger.schema import OUTBOX, REDRIVEN_PAYLOADS, SUBTASKS, TASKS, TIMELINE

#: Type of the timeline entry; the ledger writes it, not a service.
REDRIVEN = "task.redriven"


@dataclass(frozen=True, slots=True)
class Reopening:
    """A failed subtask, and what is sent to it this time."""

    task_id: str
    service: str
    redrive_no: int
    edit_no: int
    payload: bytes
    dataschema: str
    redrive_id: int
    letter_id: int
    at: datetime


def reopen(connection: Connection, reopenings: Sequence[Reopening]) -> list[PendingMessage]:
    """Reopens failed subtasks of locked tasks; returns the messages to publish."""
    tasks = _tasks(connection, reopenings)
    _keep_payloads(connection, reopenings, tasks)
    connection.execute(_REOPEN, [_subtask_values(each) for each in reopenings])
    connection.execute(insert_new(connection, TIMELINE), [_fact(each) for each in reopenings])
    _follow(connection, list(tasks))
    outbox_ids = connection.scalars(
        insert(OUTBOX).returning(OUTBOX.c.id), [_outbox_row(each) for each in reopenings]
    ).all()
    return messages_of(connection, outbox_ids)


def _tasks(connection: Connection, reopenings: Sequence[Reopening]) -> dict[str, Any]:
    ids = [each.task_id for each in reopenings]
    query = select(TASKS.c.id, TASKS.c.kind, TASKS.c.payload, TASKS.c.dataschema).where(TASKS.c.id.in_(ids))
    return {row.id: row for row in connection.execute(query)}


def _keep_payloads(connection: Connection, reopenings: Sequence[Reopening], tasks: dict[str, Any]) -> None:
    """Stores payloads that differ from those of the tasks: the reconciler may need them again."""
    for each in reopenings:
        connection.execute(
            delete(REDRIVEN_PAYLOADS).where(
                REDRIVEN_PAYLOADS.c.task_id == each.task_id,
                REDRIVEN_PAYLOADS.c.queue == work_queue(each.service),
            )
        )
    rows = [row for each in reopenings if (row := _payload_row(each, tasks[each.task_id])) is not None]
    if rows:
        connection.execute(insert(REDRIVEN_PAYLOADS), rows)


def _payload_row(each: Reopening, task: Any) -> dict[str, Any] | None:
    if not each.edit_no and (each.payload, each.dataschema) == (task.payload, task.dataschema):
        return None
    return {
        "task_id": each.task_id,
        "queue": work_queue(each.service),
        "edit_no": each.edit_no,
        "dataschema": each.dataschema,
        "payload": each.payload,
    }


def _subtask_values(each: Reopening) -> dict[str, Any]:
    return {
        "b_task_id": each.task_id,
        "b_service": each.service,
        "b_position": redriven_position(each.redrive_no),
        "b_redrive_no": each.redrive_no,
        "b_at": each.at,
    }


def _fact(each: Reopening) -> dict[str, Any]:
    return {
        "task_id": each.task_id,
        "service": each.service,
        "redrive_no": each.redrive_no,
        "attempt": 0,
        "type": REDRIVEN,
        "at": each.at,
        "details": {"redrive": each.redrive_id, "letter": each.letter_id, "edits": each.edit_no},
    }


def _follow(connection: Connection, task_ids: Sequence[str]) -> None:
    """Sets the states of tasks from those of their subtasks."""
    states: dict[str, list[State]] = {}
    query = select(SUBTASKS.c.task_id, SUBTASKS.c.state).where(SUBTASKS.c.task_id.in_(task_ids))
    for row in connection.execute(query):
        states.setdefault(row.task_id, []).append(State(row.state))
    connection.execute(
        _FOLLOW, [{"b_id": task_id, "b_state": task_state(found)} for task_id, found in states.items()]
    )


def _outbox_row(each: Reopening) -> dict[str, Any]:
    return {
        "task_id": each.task_id,
        # Not the tasks exchange: the other services of the kind have no part in it.
        "exchange": EXCHANGE_DEFAULT,
        "routing_key": work_queue(each.service),
        "attempt": 1,
        "redrive_no": each.redrive_no,
        "available_at": each.at + RELAY_GRACE,
    }


_REOPEN = (
    update(SUBTASKS)
    .where(SUBTASKS.c.task_id == bindparam("b_task_id"), SUBTASKS.c.service == bindparam("b_service"))
    .values(
        state=State.PENDING,
        position=bindparam("b_position"),
        redrive_no=bindparam("b_redrive_no"),
        attempt=0,
        next_attempt_at=None,
        updated_at=bindparam("b_at"),
        expected_at=bindparam("b_at"),
        reconciled=0,
        # Its error stays visible until it has an outcome.
    )
)
_FOLLOW = (
    update(TASKS).where(TASKS.c.id == bindparam("b_id")).values(state=bindparam("b_state"), completed_at=None)
)
