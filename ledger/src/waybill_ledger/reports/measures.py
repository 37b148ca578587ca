"""Measurements of the whole ledger for monitoring, mostly of open tasks."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, String, case, func, literal_column, or_, select, text

from waybill_contracts.states import State
from waybill_contracts.wire import EXCHANGE_TASKS
from waybill_ledger.progress import FINISHED
from waybill_ledger.reports.unplaced import Range, unplaced
from waybill_ledger.schema import OUTBOX, SUBTASKS, TASKS, owned_by

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

    #: Number of open subtasks by service and state.
    open: dict[str, dict[State, int]] = field(default_factory=lambda: defaultdict(dict))
    #: For each service, since when its longest waiting subtask is pending.
    oldest_pending: dict[str, datetime] = field(default_factory=dict)
    #: For each service, number of subtasks that were put back and still have no heartbeat.
    put_back: dict[str, int] = field(default_factory=dict)
    #: Number of due tasks that are not known to be at the broker, and since when the oldest one is due.
    unpublished: int = 0
    oldest_unpublished: datetime | None = None
    #: Number of unplaced tasks of the range: see `unplaced`.
    unplaced: int = 0
    #: For each final state, when its oldest task was accepted.
    oldest_finished: dict[State, datetime] = field(default_factory=dict)
    #: Size of the database on disk.
    bytes: int = 0


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


def open_work(connection: Connection, *, tenant: str | None = None) -> list[OpenWork]:
    """Open subtasks by service and state, as far as they are expected; with a tenant, only of its tasks."""
    put_back = func.sum(case((SUBTASKS.c.reconciled > 0, 1), else_=0))
    # Not the bare column: SQLite would scan its index, with every subtask that has ended.
    service_name = SUBTASKS.c.service.concat(literal_column("''", String))
    columns = (service_name, SUBTASKS.c.state, func.count(), func.min(SUBTASKS.c.updated_at), put_back)
    # The index holds these alone, however many have ended.
    is_open = SUBTASKS.c.expected_at.is_not(None)
    grouped = select(*columns).where(is_open).group_by(service_name, SUBTASKS.c.state)
    if tenant is not None:
        grouped = grouped.join(TASKS, TASKS.c.id == SUBTASKS.c.task_id).where(
            *owned_by(tenant, TASKS.c.tenant)
        )
    return [
        OpenWork(service, State(state), count, oldest, silent)
        for service, state, count, oldest, silent in connection.execute(grouped)
    ]


def measure(connection: Connection, wanted: Range) -> Measures:
    """Measures the ledger; `wanted` is the range that is searched for unplaced tasks."""
    measures = Measures()
    for part in open_work(connection):
        measures.open[part.service][part.state] = part.subtasks
        measures.put_back[part.service] = measures.put_back.get(part.service, 0) + part.put_back
        if part.state is State.PENDING:
            measures.oldest_pending[part.service] = part.oldest
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
    measures.unplaced = connection.scalar(select(func.count()).select_from(unplaced(wanted))) or 0
    measures.oldest_finished = oldest_finished(connection)
    measures.bytes = connection.scalar(text(_SIZE[connection.dialect.name])) or 0
    return measures


def oldest_finished(connection: Connection) -> dict[State, datetime]:
    """When the oldest task of each final state was accepted, for states with tasks."""
    found = {}
    for state in FINISHED:
        first = select(TASKS.c.created_at).where(TASKS.c.state == state).order_by(TASKS.c.id).limit(1)
        if (created_at := connection.scalar(first)) is not None:
            found[state] = created_at
    return found
