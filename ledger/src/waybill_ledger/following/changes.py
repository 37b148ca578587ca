"""What happens to tasks, as an endless list in one order.

Each event of a timeline has a number, and those of one task have rising ones, because a writer locks the task
before. Events of several tasks are committed out of order on PostgreSQL: a number may become readable after a
higher one. `Follower` knows up to which number that can no longer happen: up to there the list is settled.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Select, bindparam, column, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from waybill_contracts.states import State
from waybill_contracts.wire import LifecycleType
from waybill_database import DriverStatement, among
from waybill_ledger.schema import TASKS, TIMELINE, owned_by

#: Events that one look reads; the next look follows at once.
MOST_A_LOOK: Final = 2000


@dataclass(frozen=True, slots=True)
class Change:
    """An event of a task, with what is known of the task when it is read."""

    #: Its number.
    seq: int
    task_id: str
    tenant: str
    kind: str
    #: State of the task now, which may be that after a later event.
    task_state: State
    service: str
    redrive_no: int
    attempt: int
    type: str
    at: datetime
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """What a look has found."""

    #: Tasks with new events.
    tasks: frozenset[str]
    #: Those of them of which a part has ended.
    ended: frozenset[str]
    #: No event up to this number will be added any more.
    settled: int
    #: Whether there is more to read at once.
    is_behind: bool
    #: Whether numbers are missing that may still come.
    is_waiting: bool


@dataclass(frozen=True, slots=True)
class _Gap:
    """Numbers that were not readable, though a higher one was."""

    first: int
    last: int
    #: Transactions that may still add them; None: not looked up yet.
    writers: frozenset[str] | None = None


class Follower:
    """Follows the timelines of all tasks, on one connection at a time.

        follower = Follower()
        follower.begin(connection)
        while True:
            look = follower.look(connection)

    On SQLite a look at a ledger in which nothing was written reads a counter in memory.
    """

    def __init__(self) -> None:
        self._seen = 0
        self._gaps: list[_Gap] = []
        #: Transactions that wrote when it began, and may still add numbers below the first one seen.
        self._earlier: frozenset[str] = frozenset()

    def begin(self, connection: Connection) -> None:
        """Begins at the end of the list. What is read after `is_ready` misses nothing that looks find."""
        self._seen, self._gaps = _last(connection), []
        self._earlier = _writers(connection)

    @property
    def is_ready(self) -> bool:
        """Whether all transactions have ended that wrote when it began."""
        return not self._earlier

    @property
    def settled(self) -> int:
        """No event up to this number will be added any more."""
        return self._gaps[0].first - 1 if self._gaps else self._seen

    def look(self, connection: Connection) -> Look:
        """Finds the events that have become readable since the last look."""
        if _is_unchanged(connection):
            return Look(frozenset(), frozenset(), self.settled, is_behind=False, is_waiting=False)
        found: list[Any] = []
        if self._gaps or self._earlier:
            # In this order: a transaction that ends in between has its events read.
            writers = _writers(connection)
            self._earlier &= writers
            found += self._filled(connection, writers)
        rows = _AFTER.rows(connection, {"after": self._seen, "most": MOST_A_LOOK})
        for row in rows:
            if row.seq > self._seen + 1 and connection.dialect.name == "postgresql":
                # Not in place: a copy of the follower is where it goes on after a failure.
                self._gaps = [*self._gaps, _Gap(self._seen + 1, row.seq - 1)]
            self._seen = row.seq
        is_behind = len(rows) == MOST_A_LOOK
        if is_behind:
            connection.info.pop(_VERSION, None)
        found += rows
        return Look(
            frozenset(row.task_id for row in found),
            frozenset(row.task_id for row in found if row.type in _OUTCOMES),
            self.settled,
            is_behind=is_behind,
            is_waiting=bool(self._gaps or self._earlier),
        )

    def _filled(self, connection: Connection, writers: frozenset[str]) -> list[Any]:
        """The events that have filled gaps; closes gaps that no running transaction can fill."""
        if not self._gaps:
            return []
        asked = {"firsts": [gap.first for gap in self._gaps], "lasts": [gap.last for gap in self._gaps]}
        rows = _IN_GAPS.rows(connection, asked)
        left: list[_Gap] = []
        found = iter(sorted(row.seq for row in rows))
        number = next(found, None)
        for gap in self._gaps:
            still = writers if gap.writers is None else gap.writers & writers
            first = gap.first
            while number is not None and number <= gap.last:
                if number > first:
                    left.append(_Gap(first, number - 1, still))
                first, number = number + 1, next(found, None)
            if first <= gap.last:
                left.append(_Gap(first, gap.last, still))
        # Without writers nothing of it was readable above, and nobody is left who could add it.
        self._gaps = [gap for gap in left if gap.writers]
        return rows


def changes_between(
    connection: Connection, after: int, until: int, *, most: int, tenant: str | None = None
) -> list[Change]:
    """Events with numbers above `after` and up to `until`, which are settled, in order.

    Args:
        connection: to the ledger.
        after: number of the last one that is known.
        until: number of the last one to read.
        most: number of events at most.
        tenant: that must own their tasks; None: any.
    """
    query = (
        _CHANGES.where(TIMELINE.c.seq > after, TIMELINE.c.seq <= until, *owned_by(tenant, TASKS.c.tenant))
        .order_by(TIMELINE.c.seq)
        .limit(most)
    )
    return [_change(row) for row in connection.execute(query)]


def changes_of(connection: Connection, after: Mapping[str, int]) -> dict[str, list[Change]]:
    """Events of tasks, by task, in order.

    Args:
        connection: to the ledger.
        after: tasks, and of each the number of the last event that is known.
    """
    found: dict[str, list[Change]] = {task_id: [] for task_id in after}
    for row in _CHANGES_OF.rows(connection, {"ids": sorted(after)}):
        if row.seq > after[row.task_id]:
            found[row.task_id].append(_change(row))
    return found


def _change(row: Any) -> Change:
    return Change(**row._asdict() | {"task_state": State(row.task_state), "details": row.details or {}})


def _last(connection: Connection) -> int:
    return connection.execute(select(func.max(TIMELINE.c.seq))).scalar_one() or 0


def _is_unchanged(connection: Connection) -> bool:
    """Whether nothing was written to a SQLite file since this connection was last asked."""
    if connection.dialect.name != "sqlite":
        return False
    version: int = connection.execute(text("PRAGMA data_version")).scalar_one()
    before: int | None = connection.info.get(_VERSION)
    connection.info[_VERSION] = version
    return version == before


def _writers(connection: Connection) -> frozenset[str]:
    """Transactions that may have numbers of events which are not committed: none on SQLite, which has one.

    Each has this lock from before it takes a number until it ends.
    """
    if connection.dialect.name != "postgresql":
        return frozenset()
    return frozenset(connection.execute(_WRITERS).scalars())


#: Counter of a SQLite connection: see `_is_unchanged`.
_VERSION: Final = "waybill_data_version"
_WRITERS: Final = text(
    "SELECT DISTINCT virtualtransaction FROM pg_locks "
    "WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND relation = 'timeline'::regclass "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND granted"
)
_OUTCOMES: Final = frozenset({LifecycleType.COMPLETED, LifecycleType.DEAD, LifecycleType.CANCELLED})
_NUMBERS: Final = (TIMELINE.c.seq, TIMELINE.c.task_id, TIMELINE.c.type)
_AFTER: Final = DriverStatement(
    select(*_NUMBERS)
    .where(TIMELINE.c.seq > bindparam("after", type_=BigInteger))
    .order_by(TIMELINE.c.seq)
    .limit(bindparam("most", type_=BigInteger))
)


def _in_gaps(_dialect: str) -> Select[Any]:
    """Only for PostgreSQL."""
    numbers = ARRAY(BigInteger)
    gaps = (
        func.unnest(bindparam("firsts", type_=numbers), bindparam("lasts", type_=numbers))
        .table_valued(column("first", BigInteger), column("last", BigInteger))
        .render_derived()
    )
    return select(*_NUMBERS).join(gaps, TIMELINE.c.seq.between(gaps.c.first, gaps.c.last))


_IN_GAPS: Final = DriverStatement(_in_gaps)
_CHANGES: Final = select(
    TIMELINE.c.seq,
    TIMELINE.c.task_id,
    TASKS.c.tenant,
    TASKS.c.kind,
    TASKS.c.state.label("task_state"),
    TIMELINE.c.service,
    TIMELINE.c.redrive_no,
    TIMELINE.c.attempt,
    TIMELINE.c.type,
    TIMELINE.c.at,
    TIMELINE.c.details,
).join(TASKS, TASKS.c.id == TIMELINE.c.task_id)
_CHANGES_OF: Final = DriverStatement(
    lambda dialect: _CHANGES.where(among(dialect, TIMELINE.c.task_id, "ids")).order_by(TIMELINE.c.seq)
)
