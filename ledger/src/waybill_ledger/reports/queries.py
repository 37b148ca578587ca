"""Reading the ledger: one task, many tasks, a task's timeline."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, false, or_, select

from waybill_contracts.wire.states import State
from waybill_contracts.wire.trace import trace_id_of
from waybill_ledger.listings.cursors import decoded, encoded
from waybill_ledger.listings.id_prefix import begins_with
from waybill_ledger.progress.states import Subtask
from waybill_ledger.schema.tables import SUBTASKS, TASKS, TIMELINE
from waybill_ledger.schema.tenants import owned_by


@dataclass(frozen=True, slots=True)
class Task:
    """A task as the ledger knows it."""

    id: str
    tenant: str
    kind: str
    state: State
    created_at: datetime
    due_at: datetime | None
    completed_at: datetime | None
    correlation_id: str
    #: None: accepted by a release that knew of none.
    trace_id: str | None
    about: str
    priority: int | None
    #: Which schedule made it, and for which of its times.
    schedule_id: str | None
    slot_at: datetime | None
    #: When what it says of its person was erased.
    erased_at: datetime | None
    subtasks: list[Subtask]


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks are wanted; what is None does not matter."""

    #: The beginning of its id.
    id: str | None = None
    state: State | None = None
    #: Whose they are; None: everybody's.
    tenant: str | None = None
    kind: str | None = None
    service: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    #: The id of the schedule that made it.
    schedule: str | None = None
    #: Part of what the task is about, or the beginning of its id or correlation id.
    q: str | None = None
    #: The digest of the person whom `q` names, if it names one: that person's tasks count, too.
    q_person: str | None = None
    #: The digest of the person whom it is about.
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some tasks, newest first, and the cursor of the next page if there is one."""

    tasks: list[Task]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One lifecycle event of a task."""

    service: str
    redrive_no: int
    attempt: int
    type: str
    at: datetime
    details: dict[str, Any]


def get_task(connection: Connection, task_id: str, *, tenant: str | None = None) -> Task | None:
    """The task, or None; with a tenant, only if it is its."""
    query = select(*_COLUMNS).where(TASKS.c.id == task_id, *owned_by(tenant, TASKS.c.tenant))
    tasks = _with_subtasks(connection, query)
    return tasks[0] if tasks else None


def list_tasks(connection: Connection, wanted: TaskFilter, *, limit: int, cursor: str | None) -> Page:
    """A page of tasks, newest first.

    Raises:
        BadCursorError: `cursor` is none of ours.
    """
    query = select(*_COLUMNS).where(*_conditions(wanted)).order_by(TASKS.c.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(TASKS.c.id < decoded(cursor))
    tasks = _with_subtasks(connection, query)
    more = len(tasks) > limit
    page = tasks[:limit]
    return Page(page, encoded(page[-1].id) if more else None)


def get_timeline(connection: Connection, task_id: str) -> list[TimelineEntry]:
    """Every lifecycle event of a task, in the order in which they happened."""
    rows = connection.execute(
        select(TIMELINE).where(TIMELINE.c.task_id == task_id).order_by(TIMELINE.c.at, TIMELINE.c.seq)
    )
    return [
        TimelineEntry(row.service, row.redrive_no, row.attempt, row.type, row.at, row.details) for row in rows
    ]


def _conditions(wanted: TaskFilter) -> list[Any]:
    conditions: list[Any] = [*owned_by(wanted.tenant, TASKS.c.tenant)]
    for column, value in (
        (TASKS.c.state, wanted.state),
        (TASKS.c.kind, wanted.kind),
        (TASKS.c.person, wanted.person),
        (TASKS.c.schedule_id, wanted.schedule),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.id is not None:
        conditions.append(begins_with(TASKS.c.id, wanted.id))
    if wanted.since is not None:
        conditions.append(TASKS.c.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(TASKS.c.created_at < wanted.until)
    if wanted.service is not None:
        same_task = SUBTASKS.c.task_id == TASKS.c.id
        conditions.append(exists().where(same_task, SUBTASKS.c.service == wanted.service))
    if wanted.q is not None and "\0" in wanted.q:
        # PostgreSQL holds no such character in a text, and refuses to be asked for one.
        conditions.append(false())
    elif wanted.q is not None:
        conditions.append(
            or_(
                TASKS.c.about.icontains(wanted.q, autoescape=True),
                TASKS.c.id.startswith(wanted.q, autoescape=True),
                TASKS.c.correlation_id.startswith(wanted.q, autoescape=True),
                *([] if wanted.q_person is None else [TASKS.c.person == wanted.q_person]),
            )
        )
    return conditions


def _with_subtasks(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[Task]:
    rows = connection.execute(query).all()
    if not rows:
        return []
    subtasks = _subtasks(connection, [row.id for row in rows])
    return [_task(row, subtasks[row.id]) for row in rows]


def _task(row: Row[Any], subtasks: list[Subtask]) -> Task:
    columns = row._asdict()
    trace_id = trace_id_of(columns.pop("traceparent"))
    return Task(**columns | {"state": State(row.state)}, trace_id=trace_id, subtasks=subtasks)


def _subtasks(connection: Connection, task_ids: Sequence[str]) -> dict[str, list[Subtask]]:
    found: dict[str, list[Subtask]] = defaultdict(list)
    query = select(SUBTASKS).where(SUBTASKS.c.task_id.in_(task_ids)).order_by(SUBTASKS.c.service)
    for row in connection.execute(query):
        found[row.task_id].append(Subtask(**row._asdict() | {"state": State(row.state)}))
    return found


_COLUMNS = (
    TASKS.c.id,
    TASKS.c.tenant,
    TASKS.c.kind,
    TASKS.c.state,
    TASKS.c.created_at,
    TASKS.c.due_at,
    TASKS.c.completed_at,
    TASKS.c.correlation_id,
    TASKS.c.traceparent,
    TASKS.c.about,
    TASKS.c.priority,
    TASKS.c.schedule_id,
    TASKS.c.slot_at,
    TASKS.c.erased_at,
)
