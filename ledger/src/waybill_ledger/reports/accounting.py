"""The account: every accepted task is in exactly one state, and its record is consistent.

An unplaced task has an inconsistent record, or was silent for longer than the reconciler allows. There must
be none; each one is reported with its reasons (`unplaced`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, String, Table, func, literal_column, select

from waybill_contracts.states import State
from waybill_ledger.listings import decoded_id, encoded_id
from waybill_ledger.reports.unplaced import Range, Unplaced, describe, is_in_range, unplaced
from waybill_ledger.schema import DEFAULT_TENANT, PRUNED, PRUNED_OF_TENANTS, TASKS

_NOTHING: Final[ColumnElement[str]] = literal_column("''", String)


@dataclass(frozen=True, slots=True)
class Account:
    """Tasks of a time range by kind and state, and the unplaced ones."""

    kinds: dict[str, dict[State, int]]
    #: Number of tasks of each kind, in any state.
    accepted: dict[str, int]
    #: Number of pruned tasks of each kind, which are only counted.
    pruned: dict[str, int]
    unplaced_count: int
    #: A page of unplaced tasks, in the order of their ids.
    unplaced: list[Unplaced]
    next_cursor: str | None

    @property
    def is_balanced(self) -> bool:
        """Whether every accepted task is in one state and none is unplaced."""
        placed = {kind: sum(states.values()) for kind, states in self.kinds.items()}
        return placed == self.accepted and self.unplaced_count == 0


def take_account(connection: Connection, wanted: Range, *, limit: int, cursor: str | None) -> Account:
    """Account of a time range, with a page of the unplaced tasks.

    Raises:
        BadCursorError: `cursor` was not issued by an account.
    """
    after = "" if cursor is None else decoded_id(cursor)
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
        page = describe(connection, connection.execute(query))
    next_cursor = encoded_id(page[limit - 1].task_id) if len(page) > limit else None
    return Account(kinds, dict(accepted), dict(pruned), wrong_count, page[:limit], next_cursor)


def counts_query(wanted: Range) -> Select[str, str, int]:
    """Counts tasks by kind and state; a test checks that it reads an index only."""
    # Not the bare columns: SQLite would scan the index of one of them, and fetch every row for the others.
    columns = (TASKS.c.kind.concat(_NOTHING), TASKS.c.state.concat(_NOTHING))
    return select(*columns, func.count()).where(is_in_range(wanted)).group_by(*columns)


def _pruned(connection: Connection, wanted: Range) -> Iterator[tuple[str, str, int]]:
    """Counts of pruned tasks, by the day of their acceptance.

    A day belongs to the range in which it begins, so that adjacent ranges count each task once.
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
