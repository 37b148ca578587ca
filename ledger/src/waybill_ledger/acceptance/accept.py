"""Accepting tasks: key, task, subtasks and outbox row in one transaction, many tasks in one commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Table, insert, select

from waybill_contracts.files import is_owned
from waybill_contracts.states import State
from waybill_contracts.wire import EXCHANGE_TASKS, Envelope
from waybill_database import DriverStatement, sent_together
from waybill_ledger.acceptance.idempotency import (
    IdempotentCall,
    KeyedCall,
    KeyReusedError,
    Repeated,
    reserve,
    withdraw,
)
from waybill_ledger.acceptance.new_task import CompanionRow, NewTask
from waybill_ledger.counts import count_accepted
from waybill_ledger.files import usable_files, use_files
from waybill_ledger.outbox import GATEWAY_SOURCE, RELAY_GRACE, PendingMessage
from waybill_ledger.schema import OUTBOX, SUBTASKS, TASKS


@dataclass(frozen=True, slots=True)
class Submission:
    """One task to accept, and what is written with it."""

    task: NewTask
    call: IdempotentCall | None = None
    #: Rows of other tables that belong to the task: written if it is accepted, in the same transaction.
    rows: tuple[CompanionRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """The task is stored."""

    #: Message to publish now; None if the task is scheduled or held.
    message: PendingMessage | None


@dataclass(frozen=True, slots=True)
class AcceptedBefore:
    """The call was accepted before; its task."""

    task_id: str
    kind: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class FilesMissing:
    """The task refers to files that are not stored (any more), or not of its tenant; it is not accepted."""

    keys: tuple[str, ...]


Acceptance = Accepted | AcceptedBefore | KeyReusedError | FilesMissing


def accept(connection: Connection, submissions: Sequence[Submission]) -> Sequence[Acceptance]:
    """Accepts many tasks; a batch write for `Records.write`.

    Returns:
        The result of each submission. `KeyReusedError` is returned, not raised: it concerns one submission,
        and the others are accepted.
    """
    verdicts = _verdicts(connection, submissions)
    fresh = [s for s, verdict in zip(submissions, verdicts, strict=True) if verdict is None]
    missing = missing_files(connection, [s.task for s in fresh])
    if missing:
        # The caller may upload the files and repeat the call.
        withdraw(connection, [s.call for s in fresh if s.call is not None and s.task.id in missing])
        fresh = [s for s in fresh if s.task.id not in missing]
    messages = {s.task.id: message for s, message in zip(fresh, _insert(connection, fresh), strict=True)}
    before = _accepted_before(connection, [v.reference for v in verdicts if isinstance(v, Repeated)])

    def result(submission: Submission, verdict: Repeated | KeyReusedError | None) -> Acceptance:
        task = submission.task
        if isinstance(verdict, KeyReusedError):
            return verdict
        task_id = task.id if verdict is None else verdict.reference
        # Two calls with one key may be in one batch, and the first be refused.
        if task_id in missing:
            return missing[task_id]
        if verdict is None:
            return Accepted(messages[task_id])
        # If the task was pruned: it was of the same kind, because the call is the same.
        return before.get(task_id, AcceptedBefore(task_id, task.kind, task.due_at))

    return [result(s, verdict) for s, verdict in zip(submissions, verdicts, strict=True)]


def accept_together(
    connection: Connection, groups: Sequence[Sequence[Submission]]
) -> Sequence[Sequence[Acceptance]]:
    """Accepts groups of tasks, each as a whole or not at all; a batch write for `Records.write`.

    Returns:
        The results of each group. If one is an error, nothing of its group was accepted.
    """
    return [_accept_whole(connection, group) for group in groups]


def _accept_whole(connection: Connection, group: Sequence[Submission]) -> Sequence[Acceptance]:
    with connection.begin_nested() as whole:
        acceptances = accept(connection, group)
        if any(isinstance(each, KeyReusedError | FilesMissing) for each in acceptances):
            whole.rollback()
    return acceptances


def insert_tasks(connection: Connection, tasks: Sequence[NewTask]) -> None:
    """Accepts tasks of the ledger's own, in the transaction of the caller; the relay publishes them.

    None of their files may be missing: see `missing_files`.
    """
    _insert(connection, [Submission(task) for task in tasks], relay_grace=timedelta(0))


def _verdicts(
    connection: Connection, submissions: Sequence[Submission]
) -> list[Repeated | KeyReusedError | None]:
    keyed = [KeyedCall(s.call, s.task.id, s.task.created_at) for s in submissions if s.call is not None]
    answers = iter(reserve(connection, keyed))
    return [None if s.call is None else next(answers) for s in submissions]


def missing_files(connection: Connection, tasks: Sequence[NewTask]) -> dict[str, FilesMissing]:
    """The missing files of each task that misses any; all others cannot be removed in this transaction."""
    tasks = [task for task in tasks if task.files]
    if not tasks:
        return {}
    usable = usable_files(connection, {key for task in tasks for key in task.files})
    missing = {
        task.id: tuple(key for key in task.files if key not in usable or not is_owned(key, task.tenant))
        for task in tasks
    }
    return {task_id: FilesMissing(keys) for task_id, keys in missing.items() if keys}


def _insert(
    connection: Connection, submissions: Sequence[Submission], relay_grace: timedelta = RELAY_GRACE
) -> list[PendingMessage | None]:
    if not submissions:
        return []
    subtasks = [_subtask_row(s.task, service) for s in submissions for service in s.task.services]
    with sent_together(connection):
        _INSERT_TASKS.write(connection, [_task_row(s.task) for s in submissions])
        _INSERT_SUBTASKS.write(connection, subtasks)
        count_accepted(connection, [s.task for s in submissions])
    outbox_ids = _insert_outbox(connection, [_outbox_row(s.task, relay_grace) for s in submissions])
    files = {(s.task.id, key) for s in submissions for key in s.task.files}
    use_files(connection, files, submissions[0].task.created_at)
    _insert_companions(connection, [row for s in submissions for row in s.rows])
    return [
        None if s.task.due_at is not None or s.task.is_held else _message(outbox_ids[s.task.id], s.task)
        for s in submissions
    ]


def _insert_companions(connection: Connection, rows: Sequence[CompanionRow]) -> None:
    by_table: dict[Table, list[Mapping[str, object]]] = {}
    for row in rows:
        by_table.setdefault(row.table, []).append(row.values)
    for table, values in by_table.items():
        connection.execute(insert(table), values)


def _insert_outbox(connection: Connection, rows: Sequence[dict[str, object]]) -> dict[str, int]:
    """Outbox id of each task."""
    return {row.task_id: row.id for row in _INSERT_OUTBOX.rows(connection, *rows)}


def _initial_state(task: NewTask) -> State:
    return State.PENDING if task.due_at is None else State.SCHEDULED


def _task_row(task: NewTask) -> dict[str, object]:
    return {
        "id": task.id,
        "tenant": task.tenant,
        "kind": task.kind,
        "state": _initial_state(task),
        "created_at": task.created_at,
        "due_at": task.due_at,
        "deadline": task.deadline,
        "correlation_id": task.correlation_id,
        "traceparent": task.traceparent,
        "priority": task.priority,
        "about": task.about,
        "person": task.person,
        "schedule_id": task.slot and task.slot.schedule_id,
        "slot_at": task.slot and task.slot.at,
        "parent_id": task.parent and task.parent.task_id,
        "parent_service": task.parent and task.parent.service,
        "dataschema": task.dataschema,
        "payload": task.payload,
        "secret": task.is_secret,
    }


def _subtask_row(task: NewTask, service: str) -> dict[str, object]:
    return {
        "task_id": task.id,
        "service": service,
        "state": _initial_state(task),
        "position": 0,
        "redrive_no": 0,
        "attempt": 0,
        "next_attempt_at": task.due_at,
        "updated_at": task.created_at,
        "expected_at": None if task.is_held else task.due_at or task.created_at,
    }


def _outbox_row(task: NewTask, relay_grace: timedelta) -> dict[str, object]:
    at_once = task.created_at if task.is_held else task.created_at + relay_grace
    return {
        "task_id": task.id,
        "exchange": EXCHANGE_TASKS,
        "routing_key": task.routing_key,
        "attempt": 1,
        "redrive_no": 0,
        "available_at": task.due_at or at_once,
        "held": task.is_held,
    }


def _message(outbox_id: int, task: NewTask) -> PendingMessage:
    envelope = Envelope(
        # One event for each task, with the id of the task.
        id=task.id,
        kind=task.kind,
        source=GATEWAY_SOURCE,
        time=task.created_at,
        dataschema=task.dataschema,
        task_id=task.id,
        deadline=task.deadline,
        traceparent=task.traceparent,
    )
    return PendingMessage(
        outbox_id,
        EXCHANGE_TASKS,
        task.routing_key,
        envelope,
        task.payload,
        task.correlation_id,
        task.priority,
    )


def _accepted_before(connection: Connection, task_ids: Sequence[str]) -> dict[str, AcceptedBefore]:
    if not task_ids:
        return {}
    query = select(TASKS.c.id, TASKS.c.kind, TASKS.c.due_at).where(TASKS.c.id.in_(task_ids))
    return {row.id: AcceptedBefore(row.id, row.kind, row.due_at) for row in connection.execute(query)}


_INSERT_TASKS = DriverStatement(insert(TASKS).inline(), whole=True)
_INSERT_SUBTASKS = DriverStatement(insert(SUBTASKS).inline(), whole=True)
_INSERT_OUTBOX = DriverStatement(insert(OUTBOX).returning(OUTBOX.c.task_id, OUTBOX.c.id), whole=True)
