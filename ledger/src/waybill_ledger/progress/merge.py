"""Applies lifecycle events to the ledger, those of many messages in one transaction."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Executable, bindparam, select, update

from waybill_contracts.states import State
from waybill_contracts.wire import LifecycleData, LifecycleEvent, LifecycleType, SpawnedTask
from waybill_database import (
    DriverStatement,
    among,
    insert_in,
    insert_new_in,
    sent_together,
)
from waybill_ledger.counts import Tally
from waybill_ledger.files import StoredResults, keep_results
from waybill_ledger.progress.counting import count_change, count_outcome
from waybill_ledger.progress.erased_words import erased_event
from waybill_ledger.progress.states import Subtask, merge, position, task_state
from waybill_ledger.progress.used_payloads import delete_payloads
from waybill_ledger.schema import SUBTASKS, TASKS, TIMELINE


@dataclass(frozen=True, slots=True)
class Failure:
    """A subtask that has failed for good with the applied events."""

    task_id: str
    kind: str
    about: str
    correlation_id: str
    data: LifecycleData
    at: datetime


@dataclass(frozen=True, slots=True)
class Spawned:
    """Tasks to accept, because the applied events completed the subtask whose handler submitted them."""

    #: The parent: its task and the service of the subtask.
    task_id: str
    service: str
    tenant: str
    correlation_id: str
    traceparent: str | None
    #: Digest of the person that the parent is about.
    person: str | None
    tasks: tuple[SpawnedTask, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """Result of applying events."""

    failures: list[Failure]
    #: Ids of tasks that the ledger does not know; their events cannot be applied.
    unknown: set[str]
    #: Service of each subtask with a first attempt that began, and the time since it was due.
    picked_up: list[tuple[str, timedelta]]
    #: To be accepted in this transaction; see `accept_spawned`.
    spawned: list[Spawned]


@dataclass(slots=True)
class _Task:
    row: Any
    subtasks: dict[str, Subtask]


@dataclass(slots=True)
class _Changes:
    """Changes of all tasks, collected so that each table is written once."""

    facts: list[dict[str, Any]] = field(default_factory=list)
    #: The latest progress of each attempt.
    progress: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    subtasks: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    #: Completed tasks whose payload holds secrets, or may hold them.
    used: list[str] = field(default_factory=list)
    #: Reports of files that attempts may have stored.
    with_files: list[StoredResults] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    #: See `Merged`.
    picked_up: list[tuple[str, timedelta]] = field(default_factory=list)
    spawned: list[Spawned] = field(default_factory=list)


def apply_events(connection: Connection, events: Iterable[LifecycleEvent]) -> Merged:
    """Applies events; their order and repeats make no difference."""
    by_task: dict[str, list[LifecycleEvent]] = defaultdict(list)
    for event in events:
        by_task[event.data.task_id].append(event)
    tasks = _locked_tasks(connection, by_task)
    changes = _Changes(with_files=_with_files(by_task, tasks))
    failures: list[Failure] = []
    for task_id, task in tasks.items():
        failures.extend(_merge_into(task, by_task[task_id], changes))
    _write(connection, changes)
    return Merged(failures, by_task.keys() - tasks.keys(), changes.picked_up, changes.spawned)


def _merge_into(task: _Task, events: Sequence[LifecycleEvent], changes: _Changes) -> Iterable[Failure]:
    before = dict(task.subtasks)
    if task.row.erased_at is not None:
        events = [erased_event(event) for event in events]
    for event in events:
        _add_fact(event, changes)
        if (subtask := task.subtasks.get(event.data.service)) is not None:
            task.subtasks[event.data.service] = after = merge(subtask, event)
            if after.position != subtask.position:
                waited = count_change(changes.tally, task.row, subtask, event, after)
                if waited is not None:
                    changes.picked_up.append((subtask.service, waited))
            # Once: of a second report, and of a second run that completed as well, nothing is accepted.
            if event.data.spawned and after.state is State.COMPLETED and subtask.state is not State.COMPLETED:
                changes.spawned.append(_spawned(task.row, event, event.data.spawned))
    changed = [after for service, after in task.subtasks.items() if after is not before[service]]
    if not changed:
        return ()
    changes.subtasks.extend(map(_bound, changed))
    change = _task_change(task, before, changes.tally)
    changes.tasks.append(change)
    if change["b_state"] == State.COMPLETED and task.row.secret is not False:
        changes.used.append(task.row.id)
    return _failures(task.row, changed, before, events)


def _write(connection: Connection, changes: _Changes) -> None:
    with sent_together(connection):
        _ADD_FACTS.write(connection, changes.facts)
        _PUT_PROGRESS.write(connection, list(changes.progress.values()))
        _UPDATE_SUBTASK.write(connection, changes.subtasks)
        _UPDATE_TASK.write(connection, changes.tasks)
        changes.tally.write(connection)
    if changes.used:
        delete_payloads(connection, changes.used)
    if changes.with_files:
        keep_results(connection, changes.with_files)


def _with_files(
    by_task: Mapping[str, Sequence[LifecycleEvent]], tasks: Mapping[str, _Task]
) -> list[StoredResults]:
    return [
        StoredResults(
            task_id, event.time, is_wanted=task_id in tasks and tasks[task_id].row.erased_at is None
        )
        for task_id, events in by_task.items()
        for event in events
        if event.data.has_files
    ]


def _locked_tasks(connection: Connection, task_ids: Iterable[str]) -> dict[str, _Task]:
    tasks: dict[str, _Task] = {}
    for row in _LOCKED.rows(connection, {"ids": sorted(task_ids)}):
        task = tasks.get(row.id)
        if task is None:
            task = tasks[row.id] = _Task(row, {})
        task.subtasks[row.service] = _subtask(row)
    return tasks


def _subtask(row: Any) -> Subtask:
    return Subtask(
        row.id,
        row.service,
        State(row.state),
        row.position,
        row.redrive_no,
        row.attempt,
        row.max_attempts,
        row.next_attempt_at,
        row.updated_at,
        row.expected_at,
        row.reconciled,
        row.result,
        row.error,
    )


def _add_fact(event: LifecycleEvent, changes: _Changes) -> None:
    fact = _fact(event)
    if event.type is not LifecycleType.PROGRESS:
        changes.facts.append(fact)
        return
    attempt = tuple(fact[column.name] for column in _ONE_FACT)
    known = changes.progress.get(attempt)
    if known is None or known["at"] < event.time:
        changes.progress[attempt] = fact


def _fact(event: LifecycleEvent) -> dict[str, Any]:
    data = event.data
    return {
        "task_id": data.task_id,
        "service": data.service,
        "redrive_no": data.redrive_no,
        "attempt": data.attempt,
        "snooze_no": data.snooze_no,
        # A plain text, for the driver takes several times as long for any other.
        "type": str(event.type),
        "at": event.time,
        "details": _details(data),
    }


def _details(data: LifecycleData) -> dict[str, Any]:
    # One by one: to have pydantic leave out the others takes three times as long.
    details: dict[str, Any] = {"max_attempts": data.max_attempts}
    for name in _DETAILS:
        if (value := getattr(data, name)) is not None:
            details[name] = value
    if data.progress is not None:
        details["progress"] = data.progress.model_dump(exclude_none=True)
    if data.spawned:
        details["spawned"] = len(data.spawned)
    if data.snooze_no:
        details["snooze_no"] = data.snooze_no
    return details


def _spawned(row: Any, event: LifecycleEvent, tasks: tuple[SpawnedTask, ...]) -> Spawned:
    return Spawned(
        task_id=row.id,
        service=event.data.service,
        tenant=row.tenant,
        correlation_id=row.correlation_id,
        traceparent=event.traceparent or row.traceparent,
        person=row.person,
        tasks=tasks,
    )


def _task_change(task: _Task, before: dict[str, Subtask], tally: Tally) -> dict[str, Any]:
    subtasks = task.subtasks.values()
    state = task_state([subtask.state for subtask in subtasks])
    completed_at = None
    if state.is_terminal:
        last = max(subtasks, key=attrgetter("updated_at"))
        completed_at = last.updated_at
        count_outcome(tally, task.row, before, last, state)
    return {"b_id": task.row.id, "b_state": str(state), "b_completed_at": completed_at}


def _failures(
    row: Any, changed: Sequence[Subtask], before: dict[str, Subtask], events: Sequence[LifecycleEvent]
) -> Iterable[Failure]:
    for subtask in changed:
        was = before[subtask.service]
        already_reported = was.state is State.FAILED and was.redrive_no == subtask.redrive_no
        if subtask.state is not State.FAILED or already_reported:
            continue
        event = next(
            e for e in events if e.data.service == subtask.service and position(e) == subtask.position
        )
        yield Failure(row.id, row.kind, row.about, row.correlation_id, event.data, event.time)


def _bound(subtask: Subtask) -> dict[str, Any]:
    bound = dict(zip(_SUBTASK_PARAMETERS, _SUBTASK_FIELDS(subtask), strict=True))
    bound["b_state"] = str(subtask.state)
    return bound


def _put_progress(dialect: str) -> Executable:
    """Keeps the latest progress of each attempt: one row of the timeline, however often it is reported.

    It gets a new number, by which those who follow the timeline find it.
    """
    insert = insert_in(dialect, TIMELINE).inline()
    latest = {name: insert.excluded[name] for name in ("seq", "at", "details")}
    statement: Executable = insert.on_conflict_do_update(
        index_elements=_ONE_FACT, set_=latest, where=TIMELINE.c.at < insert.excluded.at
    )
    return statement


_DETAILS = ("seconds", "result", "error", "reason", "next_attempt_at")
_ONE_FACT = (
    TIMELINE.c.task_id,
    TIMELINE.c.service,
    TIMELINE.c.redrive_no,
    TIMELINE.c.attempt,
    TIMELINE.c.snooze_no,
    TIMELINE.c.type,
)
_ADD_FACTS = DriverStatement(lambda dialect: insert_new_in(dialect, TIMELINE), whole=True)
_PUT_PROGRESS = DriverStatement(_put_progress, whole=True)
_TASK_COLUMNS = (
    TASKS.c.id,
    TASKS.c.kind,
    TASKS.c.about,
    TASKS.c.correlation_id,
    TASKS.c.tenant,
    TASKS.c.traceparent,
    TASKS.c.person,
    TASKS.c.created_at,
    TASKS.c.due_at,
    TASKS.c.erased_at,
    TASKS.c.secret,
)
_SUBTASK_COLUMNS = [column for column in SUBTASKS.c if column is not SUBTASKS.c.task_id]
#: Tasks with their subtasks. Both are locked, so PostgreSQL shows of both what those have written that held
#: the locks before; in the order of their ids, so that two writers cannot deadlock.
_LOCKED = DriverStatement(
    lambda dialect: (
        select(*_TASK_COLUMNS, *_SUBTASK_COLUMNS)
        .join_from(TASKS, SUBTASKS, SUBTASKS.c.task_id == TASKS.c.id)
        # Of both: the plan is kept, and one for a small table would read all subtasks when it has grown.
        .where(among(dialect, TASKS.c.id, "ids"), among(dialect, SUBTASKS.c.task_id, "ids"))
        .order_by(TASKS.c.id, SUBTASKS.c.service)
        .with_for_update()
    )
)
# Not `asdict`, which copies results and errors all the way down.
_SUBTASK_FIELDS = attrgetter(*(each.name for each in fields(Subtask)))
_SUBTASK_PARAMETERS = [f"b_{each.name}" for each in fields(Subtask)]
_SUBTASK_VALUES = [column.name for column in SUBTASKS.c if not column.primary_key]
_UPDATE_SUBTASK = DriverStatement(
    update(SUBTASKS)
    .where(SUBTASKS.c.task_id == bindparam("b_task_id"), SUBTASKS.c.service == bindparam("b_service"))
    .values({name: bindparam(f"b_{name}") for name in _SUBTASK_VALUES}),
    whole=True,
    key=(SUBTASKS.c.task_id, "b_task_id"),
)
_UPDATE_TASK = DriverStatement(
    update(TASKS)
    .where(TASKS.c.id == bindparam("b_id"))
    .values(state=bindparam("b_state"), completed_at=bindparam("b_completed_at")),
    whole=True,
    key=(TASKS.c.id, "b_id"),
)
