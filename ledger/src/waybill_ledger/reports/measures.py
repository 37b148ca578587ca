"""Measurements of the whole ledger for monitoring, mostly of open tasks."""

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, String, case, func, literal_column, or_, select, text

from waybill_contracts.states import State
from waybill_contracts.wire import EXCHANGE_TASKS
from waybill_ledger.progress import FINISHED
from waybill_ledger.reports.unplaced import Range, Unplaced, describe, unplaced
from waybill_ledger.schema import DEFAULT_TENANT, OF_TENANTS, OUTBOX, SUBTASKS, TASKS, owned_by

#: A sweep postpones the rows that it takes by a minute; rows that are available later than this are not due.
_TAKEN: Final = timedelta(minutes=2)
#: On SQLite free pages count, too: the file keeps its size, and new rows take them.
_SIZE: Final = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}


@dataclass(slots=True)
class Measures:
    """State of the ledger at one moment."""

    #: Whether there are tasks of other tenants than the default one.
    has_tenants: bool = False
    #: The open subtasks of each tenant that has any.
    work: dict[str, list["OpenWork"]] = field(default_factory=dict)
    #: Number of open subtasks by service and state.
    open: dict[str, dict[State, int]] = field(default_factory=lambda: defaultdict(dict))
    #: For each service, since when its longest waiting subtask is pending.
    oldest_pending: dict[str, datetime] = field(default_factory=dict)
    #: For each service, number of subtasks that were put back and still have no heartbeat.
    put_back: dict[str, int] = field(default_factory=dict)
    #: Number of due tasks that are not known to be at the broker, and since when the oldest one is due.
    unpublished: int = 0
    oldest_unpublished: datetime | None = None
    #: The unplaced tasks of the range, of each tenant that has any: see `unplaced`.
    gaps: dict[str, "Gap"] = field(default_factory=dict)
    #: For each final state, when its oldest task was accepted.
    oldest_finished: dict[State, datetime] = field(default_factory=dict)
    #: Size of the database on disk.
    bytes: int = 0

    @property
    def unplaced(self) -> int:
        """Number of unplaced tasks of the range."""
        return sum(gap.tasks for gap in self.gaps.values())


@dataclass(frozen=True, slots=True)
class OpenWork:
    """Open subtasks of one service in one state."""

    service: str
    state: State
    subtasks: int
    #: When the one that was changed first was changed last.
    oldest: datetime
    #: How many were put back and still have no heartbeat.
    put_back: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Unplaced tasks of one tenant."""

    tasks: int
    #: The oldest of them.
    first: Unplaced


def open_work(connection: Connection, *, tenant: str | None = None) -> list[OpenWork]:
    """Open subtasks by service and state, as far as they are expected; with a tenant, only of its tasks."""
    grouped = _grouped_work()
    if tenant is not None:
        of_tasks = grouped.join(TASKS, TASKS.c.id == SUBTASKS.c.task_id)
        grouped = of_tasks.where(*owned_by(tenant, TASKS.c.tenant))
    return [_open_work(row) for row in connection.execute(grouped)]


def _work_by_tenant(connection: Connection, *, has_tenants: bool) -> dict[str, list[OpenWork]]:
    found: dict[str, list[OpenWork]] = {}
    if not has_tenants:
        # As in most installations: no task needs to be read.
        work = open_work(connection)
        return {DEFAULT_TENANT: work} if work else {}
    grouped = _grouped_work().add_columns(TASKS.c.tenant).group_by(TASKS.c.tenant)
    for row in connection.execute(grouped.join(TASKS, TASKS.c.id == SUBTASKS.c.task_id)):
        found.setdefault(row.tenant, []).append(_open_work(row))
    return found


def _open_work(row: Any) -> OpenWork:
    service, state, count, oldest, silent = row[:5]
    return OpenWork(service, State(state), count, oldest, silent)


def _grouped_work() -> Select[*tuple[Any, ...]]:
    put_back = func.sum(case((SUBTASKS.c.reconciled > 0, 1), else_=0))
    # Not the bare column: SQLite would scan its index, with every subtask that has ended.
    service_name = SUBTASKS.c.service.concat(literal_column("''", String))
    columns = (service_name, SUBTASKS.c.state, func.count(), func.min(SUBTASKS.c.updated_at), put_back)
    # The index holds these alone, however many have ended.
    is_open = SUBTASKS.c.expected_at.is_not(None)
    return select(*columns).where(is_open).group_by(service_name, SUBTASKS.c.state)


def measure(connection: Connection, wanted: Range) -> Measures:
    """Measures the ledger; `wanted` is the range that is searched for unplaced tasks."""
    measures = Measures()
    others = select(TASKS.c.id).where(OF_TENANTS, TASKS.c.tenant > "")
    measures.has_tenants = bool(connection.scalar(select(others.exists())))
    measures.work = _work_by_tenant(connection, has_tenants=measures.has_tenants)
    for part in itertools.chain.from_iterable(measures.work.values()):
        states, service = measures.open[part.service], part.service
        states[part.state] = states.get(part.state, 0) + part.subtasks
        measures.put_back[service] = measures.put_back.get(service, 0) + part.put_back
        if part.state is State.PENDING:
            oldest = measures.oldest_pending.get(service, part.oldest)
            measures.oldest_pending[service] = min(oldest, part.oldest)
    due = func.coalesce(TASKS.c.due_at, TASKS.c.created_at)
    unpublished = (
        select(func.count(), func.min(due))
        .select_from(OUTBOX.join(TASKS, TASKS.c.id == OUTBOX.c.task_id))
        .where(
            OUTBOX.c.available_at <= wanted.now + _TAKEN,
            OUTBOX.c.exchange == EXCHANGE_TASKS,
            or_(TASKS.c.due_at.is_(None), TASKS.c.due_at <= wanted.now),
        )
    )
    measures.unpublished, measures.oldest_unpublished = connection.execute(unpublished).one()
    measures.gaps = _gaps(connection, wanted)
    measures.oldest_finished = oldest_finished(connection)
    measures.bytes = connection.scalar(text(_SIZE[connection.dialect.name])) or 0
    return measures


def _gaps(connection: Connection, wanted: Range) -> dict[str, Gap]:
    wrong = unplaced(wanted)
    owners = select(TASKS.c.tenant, func.count(), func.min(wrong.c.id)).join(wrong, wrong.c.id == TASKS.c.id)
    counted = connection.execute(owners.group_by(TASKS.c.tenant)).all()
    if not counted:
        return {}
    firsts = connection.execute(select(wrong).where(wrong.c.id.in_([first for _, _, first in counted])))
    described = {each.task_id: each for each in describe(connection, firsts)}
    # One may have been placed in between.
    return {owner: Gap(tasks, described[first]) for owner, tasks, first in counted if first in described}


def oldest_finished(connection: Connection) -> dict[State, datetime]:
    """When the oldest task of each final state was accepted, for states with tasks."""
    found = {}
    for state in FINISHED:
        first = select(TASKS.c.created_at).where(TASKS.c.state == state).order_by(TASKS.c.id).limit(1)
        if (created_at := connection.scalar(first)) is not None:
            found[state] = created_at
    return found
