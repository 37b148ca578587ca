"""Which files are stored, and which tasks refer to them.

An upload is named by its tenant and its content, so several tasks may share one, and an upload may find it
stored. Before it stores a file it touches the row, which protects the file from removal for a while; when the
file is stored, the row says so. Only then a task can be accepted with it. So neither a crash of the upload
nor a removal leads to a task without its file.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Executable, bindparam, select, update

from waybill_contracts.files import results_of
from waybill_database import insert_into, insert_new
from waybill_ledger.schema import FILES, TASK_FILES


@dataclass(frozen=True, slots=True)
class Touch:
    """Notice that an upload is about to store or reuse this file."""

    key: str
    now: datetime


@dataclass(frozen=True, slots=True)
class StoredResults:
    """Report that an attempt of a task may have stored files."""

    task_id: str
    at: datetime
    #: False: the task was erased or pruned.
    is_wanted: bool


def touch_files(connection: Connection, touches: Sequence[Touch]) -> Sequence[bool]:
    """Protects files from removal for a while; a batch write for `Records.write`.

    Returns:
        False: the file is being removed now. Ask again in a moment.
    """
    # In one order for all writers, so that two with the same files cannot deadlock.
    latest = {touch.key: touch.now for touch in sorted(touches, key=lambda touch: touch.key)}
    rows = [{"key": key, "tasks": 0, "touched_at": now} for key, now in latest.items()]
    touched = {key for row in rows for key in connection.scalars(_touch(connection), row)}
    return [touch.key in touched for touch in touches]


def record_stored(connection: Connection, stored: Sequence[Touch]) -> Sequence[bool]:
    """Records that files are stored completely, and may be used by tasks; a batch write for `Records.write`.

    Returns:
        False: the upload took so long that the file is being removed, or was. Upload it again.
    """
    latest = {each.key: each.now for each in sorted(stored, key=lambda each: each.key)}
    done = {
        key: connection.execute(_STORED, {"b_key": key, "b_now": now}).rowcount == 1
        for key, now in latest.items()
    }
    return [done[each.key] for each in stored]


def usable_files(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those of the keys whose files are stored; they stay so until the end of the transaction."""
    query = select(FILES.c.key).where(
        FILES.c.key.in_(keys), FILES.c.stored_at.is_not(None), ~FILES.c.removing
    )
    return set(connection.scalars(query.order_by(FILES.c.key).with_for_update()))


def use_files(connection: Connection, files: Collection[tuple[str, str]], now: datetime) -> None:
    """Records which task refers to which file, in the transaction that accepts the tasks.

    Args:
        connection: in that transaction, which has found the files usable.
        files: pairs of task id and key, each once.
        now: time of the transaction.
    """
    if not files:
        return
    connection.execute(
        TASK_FILES.insert(), [{"task_id": task_id, "key": key} for task_id, key in sorted(files)]
    )
    uses = Counter(key for _, key in files)
    _count(connection, uses, now)


def keep_results(connection: Connection, reports: Iterable[StoredResults]) -> None:
    """Records that attempts of tasks may have stored files, so that these are removed with the tasks.

    All files of a task have one row, with the prefix of their keys: they belong to it alone.
    """
    by_task = {report.task_id: report for report in sorted(reports, key=lambda report: report.task_id)}
    kept = [{"task_id": id_, "key": results_of(id_)} for id_, report in by_task.items() if report.is_wanted]
    new = insert_new(connection, TASK_FILES, TASK_FILES.c.task_id)
    first = set(connection.scalars(new, kept)) if kept else set()
    for task_id, report in by_task.items():
        if task_id in first or not report.is_wanted:
            counted = {"tasks": int(report.is_wanted), "touched_at": report.at, "stored_at": report.at}
            connection.execute(_keep(connection), {"key": results_of(task_id)} | counted)


def release_files(connection: Connection, task_ids: Sequence[str], now: datetime) -> None:
    """Records that tasks are about to be deleted or erased, and refer to no file from then on."""
    keys = connection.scalars(select(TASK_FILES.c.key).where(TASK_FILES.c.task_id.in_(task_ids)))
    _count(connection, {key: -uses for key, uses in Counter(keys).items()}, now)


def _count(connection: Connection, changes: dict[str, int], now: datetime) -> None:
    if changes:
        connection.execute(
            _COUNT, [{"b_key": key, "b_more": changes[key], "b_now": now} for key in sorted(changes)]
        )


def _touch(connection: Connection) -> Executable:
    insert = insert_into(connection, FILES)
    statement: Executable = insert.on_conflict_do_update(
        index_elements=[FILES.c.key],
        set_={"touched_at": insert.excluded.touched_at},
        where=~FILES.c.removing,
    ).returning(FILES.c.key)
    return statement


def _keep(connection: Connection) -> Executable:
    insert = insert_into(connection, FILES)
    statement: Executable = insert.on_conflict_do_update(
        index_elements=[FILES.c.key],
        set_={"tasks": FILES.c.tasks + insert.excluded.tasks, "removing": False, "removing_by": None},
    )
    return statement


_STORED = (
    update(FILES)
    .where(FILES.c.key == bindparam("b_key"), ~FILES.c.removing)
    .values(stored_at=bindparam("b_now"), touched_at=bindparam("b_now"))
)
_COUNT = (
    update(FILES)
    .where(FILES.c.key == bindparam("b_key"))
    .values(tasks=FILES.c.tasks + bindparam("b_more"), touched_at=bindparam("b_now"))
)
