"""Reading the ledger: one task, many tasks, a task's timeline."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, false, func, or_, select

from waybill_contracts.states import State
from waybill_contracts.wire import LifecycleType, trace_id_of
from waybill_ledger.listings import begins_with, decoded_id, encoded_id
from waybill_ledger.progress import Subtask, due_next
from waybill_ledger.schema import DEFAULT_TENANT, SUBTASKS, TASKS, TIMELINE, owned_by


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an attempt is that runs."""

    #: From 0 to 1; None: unknown.
    share: float | None
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Task:
    """A task, as read from the ledger."""

    id: str
    tenant: str
    kind: str
    state: State
    created_at: datetime
    due_at: datetime | None
    completed_at: datetime | None
    correlation_id: str
    #: None: accepted by a release without traces.
    trace_id: str | None
    about: str
    priority: int | None
    #: The schedule and the slot that it was made for.
    schedule_id: str | None
    slot_at: datetime | None
    #: The task that spawned it, which may be pruned, and the service whose handler did.
    parent_id: str | None
    parent_service: str | None
    #: When its personal data was erased.
    erased_at: datetime | None
    subtasks: list[Subtask]
    #: Progress of the subtasks that run and have reported any, by service.
    progress: dict[str, Progress]
    #: How many tasks it has spawned that are stored.
    children: int


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Conditions on tasks; None: no condition."""

    #: Prefix of the id.
    id: str | None = None
    state: State | None = None
    #: Owning tenant; None: all tenants.
    tenant: str | None = None
    kind: str | None = None
    service: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    #: Id of the schedule that made it.
    schedule: str | None = None
    #: Id of the task that spawned it.
    parent: str | None = None
    #: Part of the subject, or prefix of the id or the correlation id.
    q: str | None = None
    #: Digest of the person that `q` names, if any: tasks of the person match, too.
    q_person: str | None = None
    #: Digest of the person that the task is about.
    person: str | None = None
    #: Only among so many of the newest tasks; of all tenants, if the tenant is the default one.
    newest: int | None = None

    @property
    def is_of_service_alone(self) -> bool:
        """Whether it asks for the tasks of a service, and for nothing else that an index leads to."""
        return self.service is not None and self == TaskFilter(service=self.service, tenant=self._any_tenant)

    @property
    def _any_tenant(self) -> str | None:
        # Tasks of other tenants have indexes of their own.
        return self.tenant if self.tenant == DEFAULT_TENANT else None


@dataclass(frozen=True, slots=True)
class Page:
    """Tasks, newest first; the cursor of the next page, or None."""

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
    """The task, or None; with a tenant, only if that tenant owns it."""
    query = select(*_COLUMNS).where(TASKS.c.id == task_id, *owned_by(tenant, TASKS.c.tenant))
    tasks = _with_subtasks(connection, query)
    return tasks[0] if tasks else None


def get_tasks(connection: Connection, task_ids: Collection[str]) -> dict[str, Task]:
    """Those of these tasks that there are, of whichever tenant, by id."""
    query = select(*_COLUMNS).where(TASKS.c.id.in_(task_ids))
    return {task.id: task for task in _with_subtasks(connection, query)}


def list_tasks(connection: Connection, wanted: TaskFilter, *, limit: int, cursor: str | None) -> Page:
    """A page of tasks, newest first.

    Raises:
        BadCursorError: `cursor` was not issued by this listing.
    """
    if wanted.is_of_service_alone:
        # Along the index of its subtasks: to look for one in each task would read all those of others.
        key = SUBTASKS.c.task_id
        query = select(*_COLUMNS).join_from(SUBTASKS, TASKS, TASKS.c.id == key)
        query = query.where(SUBTASKS.c.service == wanted.service, *owned_by(wanted.tenant, TASKS.c.tenant))
    else:
        key = TASKS.c.id
        query = select(*_COLUMNS).where(*_conditions(wanted))
    query = query.order_by(key.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(key < decoded_id(cursor))
    tasks = _with_subtasks(connection, query)
    more = len(tasks) > limit
    page = tasks[:limit]
    return Page(page, encoded_id(page[-1].id) if more else None)


def count_tasks(connection: Connection, wanted: TaskFilter, *, most: int) -> int:
    """Number of tasks, counted up to `most`: a listing of millions is not worth a scan."""
    found = select(TASKS.c.id).where(*_conditions(wanted)).order_by(TASKS.c.id.desc()).limit(most)
    return connection.scalar(select(func.count()).select_from(found.subquery())) or 0


def get_timeline(connection: Connection, task_id: str) -> list[TimelineEntry]:
    """Lifecycle events of a task, in the order of their times."""
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
        (TASKS.c.parent_id, wanted.parent),
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
    if wanted.newest is not None:
        conditions.append(TASKS.c.id >= _oldest_of(wanted.newest, wanted.tenant))
    if wanted.q is not None and "\0" in wanted.q:
        # PostgreSQL holds no NUL in a text, and refuses a query with one.
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


def _oldest_of(newest: int, tenant: str | None) -> ColumnElement[str]:
    """Id of the oldest of so many tasks; an index finds it. Less than every id if there are not so many."""
    # Nearly all tasks are those of the default tenant, and no index holds them alone.
    owned = () if tenant == DEFAULT_TENANT else owned_by(tenant, TASKS.c.tenant)
    found = select(TASKS.c.id).where(*owned).order_by(TASKS.c.id.desc()).limit(1).offset(newest - 1)
    return func.coalesce(found.scalar_subquery(), "")


def _with_subtasks(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[Task]:
    rows = connection.execute(query).all()
    if not rows:
        return []
    subtasks = _subtasks(connection, [row.id for row in rows])
    running = [s for parts in subtasks.values() for s in parts if s.state is State.RUNNING]
    progress = _progress(connection, running)
    children = _children(connection, [row.id for row in rows])
    return [_task(row, subtasks[row.id], progress[row.id], children.get(row.id, 0)) for row in rows]


def _task(row: Row[Any], subtasks: list[Subtask], progress: dict[str, Progress], children: int) -> Task:
    columns = row._asdict()
    trace_id = trace_id_of(columns.pop("traceparent"))
    columns |= {"state": State(row.state), "trace_id": trace_id}
    return Task(**columns, subtasks=subtasks, progress=progress, children=children)


def _subtasks(connection: Connection, task_ids: Sequence[str]) -> dict[str, list[Subtask]]:
    found: dict[str, list[Subtask]] = defaultdict(list)
    query = select(SUBTASKS).where(SUBTASKS.c.task_id.in_(task_ids)).order_by(SUBTASKS.c.service)
    for row in connection.execute(query):
        found[row.task_id].append(Subtask(**row._asdict() | {"state": State(row.state)}))
    return found


def _progress(connection: Connection, running: Sequence[Subtask]) -> dict[str, dict[str, Progress]]:
    """Progress of the attempts that run, by task and service."""
    found: dict[str, dict[str, Progress]] = defaultdict(dict)
    if not running:
        return found
    attempts = {
        (s.task_id, s.service, s.redrive_no, *due_next(s.state, s.attempt, s.position)) for s in running
    }
    reported = select(TIMELINE).where(
        TIMELINE.c.task_id.in_({s.task_id for s in running}), TIMELINE.c.type == LifecycleType.PROGRESS
    )
    for row in connection.execute(reported):
        if (row.task_id, row.service, row.redrive_no, row.attempt, row.snooze_no) in attempts:
            told = row.details["progress"]
            found[row.task_id][row.service] = Progress(told.get("share"), told["text"], row.at)
    return found


def _children(connection: Connection, task_ids: Sequence[str]) -> dict[str, int]:
    """How many tasks each of these has spawned; only of those that have."""
    counted = (
        select(TASKS.c.parent_id, func.count())
        .where(TASKS.c.parent_id.in_(task_ids))
        .group_by(TASKS.c.parent_id)
    )
    return {row[0]: row[1] for row in connection.execute(counted)}


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
    TASKS.c.parent_id,
    TASKS.c.parent_service,
    TASKS.c.erased_at,
)
