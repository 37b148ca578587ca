"""Uploaded files: which are in use by tasks, and which may be removed.

Files are named by their content, so several tasks may share one, and an upload may find it stored. A file is
removed in three steps: its row is marked (only if no task refers to it, and it was not touched for a while),
the file is deleted, the row is deleted. An upload touches the row before it looks for the file, and waits
while the row is marked: it never relies on a file that is about to be deleted.

A mark belongs to one collector. The collector renews it before each deletion, and deletes the row only under
the mark under which it deleted the file. If a collector dies, another one takes over its marks after
`ABANDONED_AFTER`. No store can make a deletion depend on a mark, so this time is a bound: a deletion that
takes effect later than that after the renewal may remove a file that was uploaded again. Clock differences
count.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Executable, bindparam, delete, select, update

from waybill_database import insert_into
from waybill_ledger.schema import BEING_REMOVED, ORIGINALS, TASK_FILES

#: Longer than a request to the store (ten minutes) and its retry.
ABANDONED_AFTER: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Touch:
    """Notice that an upload is about to store or reuse this file."""

    key: str
    now: datetime


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


def touch_originals(connection: Connection, touches: Sequence[Touch]) -> Sequence[bool]:
    """Protects files from removal for a while; a batch write for `Records.write`.

    Returns:
        False: the file is being removed now. Ask again in a moment.
    """
    # In one order for all writers, so that two with the same files cannot deadlock.
    latest = {touch.key: touch.now for touch in sorted(touches, key=lambda touch: touch.key)}
    rows = [{"key": key, "tasks": 0, "touched_at": now} for key, now in latest.items()]
    touched = {key for row in rows for key in connection.scalars(_touch(connection), row)}
    return [touch.key in touched for touch in touches]


def use_originals(connection: Connection, files: Sequence[tuple[str, str]], now: datetime) -> None:
    """Records which task refers to which file, in the transaction that accepts the tasks.

    Args:
        connection: in that transaction.
        files: pairs of task id and key.
        now: time of the transaction.
    """
    connection.execute(
        TASK_FILES.insert(), [{"task_id": task_id, "key": key} for task_id, key in sorted(files)]
    )
    uses = Counter(key for _, key in files)
    connection.execute(
        _use(connection), [{"key": key, "tasks": uses[key], "touched_at": now} for key in sorted(uses)]
    )


def release_originals(connection: Connection, task_ids: Sequence[str], now: datetime) -> None:
    """Records that tasks are about to be deleted or erased, and refer to no file from then on."""
    keys = connection.scalars(select(TASK_FILES.c.key).where(TASK_FILES.c.task_id.in_(task_ids)))
    left = Counter(keys)
    if left:
        connection.execute(
            _LEAVE, [{"b_key": key, "b_left": left[key], "b_now": now} for key in sorted(left)]
        )


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
        mark: _is_one(connection, update(ORIGINALS).where(*_stands(mark)).values(touched_at=times[mark]))
        for mark in _in_order(times)
    }
    return [stands[renewal.mark] for renewal in renewals]


def delete_removed(connection: Connection, marks: Sequence[Mark]) -> Sequence[bool]:
    """Deletes the rows of deleted files; a batch write for `Records.write`.

    Returns:
        False: the mark was taken over or removed, so the row stays.
    """
    stood = {mark: _is_one(connection, delete(ORIGINALS).where(*_stands(mark))) for mark in _in_order(marks)}
    return [stood[mark] for mark in marks]


def _marked(connection: Connection, removal: Removal) -> list[Mark]:
    abandoned = (BEING_REMOVED, ORIGINALS.c.touched_at < removal.now - ABANDONED_AFTER)
    unused = (~ORIGINALS.c.removing, ORIGINALS.c.touched_at < removal.untouched_since)
    found: list[Any] = []
    for wanted in (abandoned, unused):
        rows = select(ORIGINALS.c.key, ORIGINALS.c.removing, ORIGINALS.c.removing_by)
        rows = rows.where(ORIGINALS.c.tasks == 0, *wanted).order_by(ORIGINALS.c.touched_at)
        found += connection.execute(
            rows.limit(removal.most - len(found)).with_for_update(skip_locked=True)
        ).all()
    owner = uuid4().hex
    connection.execute(
        update(ORIGINALS)
        .where(ORIGINALS.c.key.in_([row.key for row in found]))
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
    return (ORIGINALS.c.key == mark.key, ORIGINALS.c.removing, ORIGINALS.c.removing_by == mark.owner)


def _touch(connection: Connection) -> Executable:
    insert = insert_into(connection, ORIGINALS)
    statement: Executable = insert.on_conflict_do_update(
        index_elements=[ORIGINALS.c.key],
        set_={"touched_at": insert.excluded.touched_at},
        where=~ORIGINALS.c.removing,
    ).returning(ORIGINALS.c.key)
    return statement


def _use(connection: Connection) -> Executable:
    insert = insert_into(connection, ORIGINALS)
    statement: Executable = insert.on_conflict_do_update(
        index_elements=[ORIGINALS.c.key],
        set_={
            "tasks": ORIGINALS.c.tasks + insert.excluded.tasks,
            "touched_at": insert.excluded.touched_at,
            # The upload touched the row: a mark can only remain of a file that was deleted and stored again.
            "removing": False,
            "removing_by": None,
        },
    )
    return statement


_LEAVE = (
    update(ORIGINALS)
    .where(ORIGINALS.c.key == bindparam("b_key"))
    .values(tasks=ORIGINALS.c.tasks - bindparam("b_left"), touched_at=bindparam("b_now"))
)
