"""The account: every task that was accepted is in exactly one state, and can be placed there.

A task that cannot be placed has a record that is at odds with itself, or has been silent for longer than the
reconciler would let it. There must be none; each is told with its reasons (`unplaced`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, String, Table, func, literal_column, select

from waybill_contracts.wire.states import State
from waybill_ledger.listings.cursors import decoded, encoded
from waybill_ledger.reports.unplaced import Range, Unplaced, is_in_range, tell, unplaced
from waybill_ledger.schema.tables import PRUNED, PRUNED_OF_TENANTS, TASKS
from waybill_ledger.schema.tenants import DEFAULT_TENANT

_NOTHING: Final[ColumnElement[str]] = literal_column("''", String)


@dataclass(frozen=True, slots=True)
class Account:
    """The tasks of a time range, by kind and state, and those that cannot be placed."""

    kinds: dict[str, dict[State, int]]
    #: Of each kind: how many there are, whatever their state.
    accepted: dict[str, int]
    #: Of each kind: how many of them are no longer kept, and only counted.
    pruned: dict[str, int]
    unplaced_count: int
    #: A page of them, in the order of their ids.
    unplaced: list[Unplaced]
    next_cursor: str | None

    @property
    def is_balanced(self) -> bool:
        """Whether every accepted task is in one of the states, and can be placed."""
        placed = {kind: sum(states.values()) for kind, states in self.kinds.items()}
        return placed == self.accepted and self.unplaced_count == 0


def take_account(connection: Connection, wanted: Range, *, limit: int, cursor: str | None) -> Account:
    """The account of a time range, with a page of those tasks that cannot be placed.

    Raises:
        BadCursorError: `cursor` is none that an account gave out.
    """
    after = "" if cursor is None else decoded(cursor)
    accepted: Counter[str] = Counter()
    kinds: dict[str, dict[State, int]] = {}
    for kind, state, count in connection.execute(counts_query(wanted)):
        accepted[kind] += count
        states = kinds.setdefault(kind, dict.fromkeys(State, 0))
        if state in states:
            states[State(state)] += count
    pruned = Counter[str]()
    for kind, state, count in _pruned(connection, wanted):
        accepted[kind] += count
        pruned[kind] += count
        kinds.setdefault(kind, dict.fromkeys(State, 0))[State(state)] += count
    wrong = unplaced(wanted)
    wrong_count = connection.scalar(select(func.count()).select_from(wrong)) or 0
    page: list[Unplaced] = []
    if wrong_count:
        query = select(wrong).where(wrong.c.id > after).order_by(wrong.c.id).limit(limit + 1)
        page = tell(connection, connection.execute(query))
    next_cursor = encoded(page[limit - 1].task_id) if len(page) > limit else None
    return Account(kinds, dict(accepted), dict(pruned), wrong_count, page[:limit], next_cursor)


def counts_query(wanted: Range) -> Select[str, str, int]:
    """Counts tasks by kind and state; a test holds that it reads an index and no row."""
    # Not the bare columns: SQLite would go along the index of one of them, and fetch every row for the rest.
    columns = (TASKS.c.kind.concat(_NOTHING), TASKS.c.state.concat(_NOTHING))
    return select(*columns, func.count()).where(is_in_range(wanted)).group_by(*columns)


def _pruned(connection: Connection, wanted: Range) -> Iterator[tuple[str, str, int]]:
    """Counts of tasks that are no longer kept, by the day of their acceptance.

    A day belongs to the range in which it begins, so that ranges side by side count each task once.
    """
    if wanted.tenant in {None, DEFAULT_TENANT}:
        yield from _of_days(connection, PRUNED, wanted)
    if wanted.tenant != DEFAULT_TENANT:
        owned = [] if wanted.tenant is None else [PRUNED_OF_TENANTS.c.tenant == wanted.tenant]
        yield from _of_days(connection, PRUNED_OF_TENANTS, wanted, *owned)


def _of_days(
    connection: Connection, counts: Table, wanted: Range, *conditions: ColumnElement[bool]
) -> Iterable[Any]:
    columns = (counts.c.kind, counts.c.state)
    query = select(*columns, func.sum(counts.c.tasks)).where(*conditions).group_by(*columns)
    if wanted.since is not None:
        query = query.where(counts.c.day >= wanted.since)
    if wanted.until is not None:
        query = query.where(counts.c.day < wanted.until)
    return connection.execute(query)
