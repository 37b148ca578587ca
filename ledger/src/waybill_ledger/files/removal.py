"""The removal of files that no task refers to, in three steps.

The row of a file is marked (only if no task refers to it, and it was not touched for a while), the file is
deleted, the row is deleted. An upload touches the row before it looks for the file, and waits while the row
is marked: it never relies on a file that is about to be deleted. No task is accepted with a marked file.

A mark belongs to one collector. The collector renews it before each deletion, and deletes the row only under
the mark under which it deleted the file. If a collector dies, another one takes over its marks after
`ABANDONED_AFTER`. No store can make a deletion depend on a mark, so this time is a bound: a deletion that
takes effect later than that after the renewal may remove a file that was uploaded again. Clock differences
count.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Executable, delete, select, update

from waybill_ledger.schema import BEING_REMOVED, FILES

#: Longer than a request to the store (ten minutes) and its retry.
ABANDONED_AFTER: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Removal:
    """Request to remove files that were not used or touched since `untouched_since`."""

    untouched_since: datetime
    now: datetime
    most: int


@dataclass(frozen=True, slots=True)
class Mark:
    """The right to remove a file, for `ABANDONED_AFTER` after it was given or renewed."""

    key: str
    owner: str


@dataclass(frozen=True, slots=True)
class Renewal:
    """Notice that a deletion is about to happen under this mark."""

    mark: Mark
    now: datetime


def mark_unused(connection: Connection, removals: Sequence[Removal]) -> Sequence[list[Mark]]:
    """Marks files for removal, and takes over abandoned marks; a batch write for `Records.write`.

    No two callers get the same file, unless the first is silent for `ABANDONED_AFTER`.
    """
    return [_marked(connection, removal) for removal in removals]


def renew_marks(connection: Connection, renewals: Sequence[Renewal]) -> Sequence[bool]:
    """Renews marks; a batch write for `Records.write`.

    Returns:
        False: the mark was taken over or removed, and the file must stay.
    """
    times = {renewal.mark: renewal.now for renewal in renewals}
    stands = {
        mark: _is_one(connection, update(FILES).where(*_stands(mark)).values(touched_at=times[mark]))
        for mark in _in_order(times)
    }
    return [stands[renewal.mark] for renewal in renewals]


def delete_removed(connection: Connection, marks: Sequence[Mark]) -> Sequence[bool]:
    """Deletes the rows of deleted files; a batch write for `Records.write`.

    Returns:
        False: the mark was taken over or removed, so the row stays.
    """
    stood = {mark: _is_one(connection, delete(FILES).where(*_stands(mark))) for mark in _in_order(marks)}
    return [stood[mark] for mark in marks]


def _marked(connection: Connection, removal: Removal) -> list[Mark]:
    abandoned = (BEING_REMOVED, FILES.c.touched_at < removal.now - ABANDONED_AFTER)
    unused = (~FILES.c.removing, FILES.c.touched_at < removal.untouched_since)
    found: list[Any] = []
    for wanted in (abandoned, unused):
        rows = select(FILES.c.key, FILES.c.removing, FILES.c.removing_by)
        rows = rows.where(FILES.c.tasks == 0, *wanted).order_by(FILES.c.touched_at)
        found += connection.execute(
            rows.limit(removal.most - len(found)).with_for_update(skip_locked=True)
        ).all()
    owner = uuid4().hex
    connection.execute(
        update(FILES)
        .where(FILES.c.key.in_([row.key for row in found]))
        # The last release, which may run beside this one, does not mark files that were touched now.
        .values(removing=True, removing_by=owner, touched_at=removal.now)
    )
    # The age of a mark of the last release is unknown: its time begins now.
    return [Mark(row.key, owner) for row in found if not (row.removing and row.removing_by is None)]


def _in_order(marks: Iterable[Mark]) -> list[Mark]:
    return sorted(set(marks), key=lambda mark: mark.key)


def _is_one(connection: Connection, change: Executable) -> bool:
    return connection.execute(change).rowcount == 1


def _stands(mark: Mark) -> Sequence[ColumnElement[bool]]:
    return (FILES.c.key == mark.key, FILES.c.removing, FILES.c.removing_by == mark.owner)
