"""The uploaded files that tasks refer to: which are in use, and which may be removed.

Files are named by their content, so that several tasks may share one, and an upload finds it there. A file
is removed in three steps: its row is marked (only while no task refers to it, and nobody has touched it for
a while), the file goes, the row goes. An upload touches the row before it looks for the file, and waits
while it is marked: it never relies on a file that is about to go.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Executable, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ledger.schema import ORIGINALS, TASK_FILES


@dataclass(frozen=True, slots=True)
class Touch:
    """An upload is about to store this file, or to find it there."""

    key: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Removal:
    """A wish to remove files that nobody has used or touched since `untouched_since`."""

    untouched_since: datetime
    most: int


def touch_originals(connection: Connection, touches: Sequence[Touch]) -> Sequence[bool]:
    """Keeps files from being removed for a while; a batch write for `Records.write`.

    Returns:
        False: the file is being removed just now. Ask again in a moment.
    """
    # In one order for all: two writers with the same files must not wait for each other.
    latest = {touch.key: touch.now for touch in sorted(touches, key=lambda touch: touch.key)}
    rows = [{"key": key, "tasks": 0, "touched_at": now} for key, now in latest.items()]
    touched = {key for row in rows for key in connection.scalars(_touch(connection), row)}
    return [touch.key in touched for touch in touches]


def use_originals(connection: Connection, files: Sequence[tuple[str, str]], now: datetime) -> None:
    """Notes which task refers to which file, as part of the transaction that accepts the tasks.

    Args:
        connection: in that transaction.
        files: pairs of task id and key.
        now: when that is.
    """
    connection.execute(
        TASK_FILES.insert(), [{"task_id": task_id, "key": key} for task_id, key in sorted(files)]
    )
    uses = Counter(key for _, key in files)
    connection.execute(
        _use(connection), [{"key": key, "tasks": uses[key], "touched_at": now} for key in sorted(uses)]
    )


def leave_originals(connection: Connection, task_ids: Sequence[str], now: datetime) -> None:
    """Notes that tasks are about to be forgotten, and refer to nothing from then on."""
    keys = connection.scalars(select(TASK_FILES.c.key).where(TASK_FILES.c.task_id.in_(task_ids)))
    left = Counter(keys)
    if left:
        connection.execute(
            _LEAVE, [{"b_key": key, "b_left": left[key], "b_now": now} for key in sorted(left)]
        )


def mark_unused(connection: Connection, removals: Sequence[Removal]) -> Sequence[list[str]]:
    """Marks files for their removal, and finds those whose removal was begun and not ended.

    A batch write for `Records.write`; answers the keys. Two callers at once may be answered the same: to
    remove a file twice does no harm.
    """
    answers = []
    for removal in removals:
        unused = select(ORIGINALS.c.key).where(
            ORIGINALS.c.tasks == 0, ORIGINALS.c.touched_at < removal.untouched_since
        )
        keys = connection.scalars(
            unused.order_by(ORIGINALS.c.touched_at).limit(removal.most).with_for_update(skip_locked=True)
        ).all()
        connection.execute(update(ORIGINALS).where(ORIGINALS.c.key.in_(keys)).values(removing=True))
        answers.append(list(keys))
    return answers


def forget_removed(connection: Connection, batches: Sequence[Sequence[str]]) -> Sequence[None]:
    """Forgets files that are gone; a batch write for `Records.write`."""
    keys = sorted(key for batch in batches for key in batch)
    connection.execute(delete(ORIGINALS).where(ORIGINALS.c.key.in_(keys), ORIGINALS.c.removing))
    return [None] * len(batches)


def _touch(connection: Connection) -> Executable:
    insert = _insert(connection)
    statement: Executable = insert.on_conflict_do_update(
        index_elements=[ORIGINALS.c.key],
        set_={"touched_at": insert.excluded.touched_at},
        where=~ORIGINALS.c.removing,
    ).returning(ORIGINALS.c.key)
    return statement


def _use(connection: Connection) -> Executable:
    insert = _insert(connection)
    statement: Executable = insert.on_conflict_do_update(
        index_elements=[ORIGINALS.c.key],
        set_={
            "tasks": ORIGINALS.c.tasks + insert.excluded.tasks,
            "touched_at": insert.excluded.touched_at,
            # Who uploads has touched it: a mark can only be left from a file that is gone and stored anew.
            "removing": False,
        },
    )
    return statement


def _insert(connection: Connection) -> Any:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(ORIGINALS)


_LEAVE = (
    update(ORIGINALS)
    .where(ORIGINALS.c.key == bindparam("b_key"))
    .values(tasks=ORIGINALS.c.tasks - bindparam("b_left"), touched_at=bindparam("b_now"))
)
