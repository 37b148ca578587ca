"""Fills ledgers and inboxes with very many tasks, as the real path would have written them.

A thousand tasks take the real path: accepted with their keys, reported, failed, dead-lettered, cancelled.
Their rows are then copied by the database itself, each copy an hour older than the one before, ids included
(they begin with the time). A ledger of a million is made in a minute or two.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Table, func, literal, select, text, type_coerce

from waybill_contracts.events import Event
from waybill_contracts.wire import LifecycleData, LifecycleEvent, LifecycleType, lifecycle_event
from waybill_database import Instant, Records
from waybill_ledger import NewTask, Submission, Touch, accept, apply_events, record_stored, touch_files
from waybill_ledger.deadletters.intake import letter_of, take_in
from waybill_ledger.migrations import upgrade
from waybill_ledger.schema import (
    DEAD_LETTER_MESSAGES,
    DEAD_LETTERS,
    FILES,
    IDEMPOTENCY,
    OUTBOX,
    SUBTASKS,
    TASK_FILES,
    TASKS,
    TIMELINE,
)
from waybill_testkit.samples import (
    ERROR,
    dead_message,
    email_event,
    envelope_of,
    event_in,
    gate_of,
    image_event,
    keyed,
    new_task,
    sync_event,
    user_event,
)
from waybill_worker.inbox import INBOX, Inbox
from waybill_worker.outcome import Completed

#: Tasks that take the real path.
MODEL: Final = 1000
#: Between two copies.
APART: Final = timedelta(hours=1)
#: When what is scheduled is due: after everything that is measured.
FAR_AHEAD: Final = timedelta(days=3650)
#: Groups that the letters fall into.
FAULTS: Final = ("refused", "answered 503", "answered 401", "timed out", "broke off")
#: The first characters of a UUIDv7 are its time in milliseconds.
_TIME_LENGTH: Final = 13
#: In the order of their references; letters' messages come last and in another way.
_COPIED: Final = (TASKS, SUBTASKS, TIMELINE, OUTBOX, TASK_FILES, IDEMPOTENCY, DEAD_LETTERS)
_IDS: Final = frozenset({"task_id", "reference", "correlation_id", "key"})


@dataclass(frozen=True, slots=True)
class Mix:
    """What has become of the tasks: so many of each thousand; the others are completed."""

    #: Far ahead.
    scheduled: int = 0
    failed: int = 0
    cancelled: int = 0
    #: Accepted, and still in the outbox.
    unpublished: int = 0
    #: At the broker, not delivered yet.
    pending: int = 0


#: A ledger that has been there for long.
PAST: Final = Mix(scheduled=20, failed=20, cancelled=10)
#: One whose work has all to be done yet: half of it after the broker has been away.
BACKLOG: Final = Mix(unpublished=500, pending=500)
SCHEDULED_ONLY: Final = Mix(scheduled=MODEL)


@dataclass(frozen=True, slots=True)
class _Copy:
    #: All ids of the model begin here, and all of its copies' before.
    first_id: str
    #: What the ids of the copy begin with.
    prefix: str
    #: By how much it is older, in microseconds.
    older: int


def fill_ledger(url: str, tasks: int, mix: Mix = PAST) -> None:
    """Makes a ledger at `url` with a number of tasks, a multiple of `MODEL`, in the states of `mix`."""
    upgrade(url)
    records = Records(url)
    at = datetime.now(UTC) - APART
    with records.engine.begin() as connection:
        first_id = _make_model(connection, at, mix)
    # The oldest first, as they would have come.
    for number in range(tasks // MODEL - 1, 0, -1):
        with records.engine.begin() as connection:
            _copy_ledger(connection, _copy(first_id, at, number))
    _analyse(records)
    records.engine.dispose()


def fill_inbox(url: str, tasks: int) -> None:
    """Makes an inbox of the service `sync` at `url` with so many subtasks that are done."""
    records = Records(url)
    inbox = Inbox(records, "sync", lease_seconds=60)
    inbox.make_table()
    at = datetime.now(UTC) - APART
    first_id = asyncio.run(_make_inbox_model(inbox, records))
    for number in range(tasks // MODEL - 1, 0, -1):
        with records.engine.begin() as connection:
            _copy_rows(connection, INBOX, _copy(first_id, at, number))
    _analyse(records)
    records.engine.dispose()


def _copy(first_id: str, at: datetime, number: int) -> _Copy:
    older = number * APART
    digits = f"{int((at - older).timestamp() * 1000):012x}"
    return _Copy(first_id, f"{digits[:8]}-{digits[8:]}", older // timedelta(microseconds=1))


def _make_model(connection: Connection, at: datetime, mix: Mix) -> str:
    events: Sequence[Event] = [email_event(), sync_event(), email_event(), sync_event(), user_event()]
    tasks = [
        new_task(
            image_event() if number % 20 == 0 else events[number % len(events)],
            created_at=at,
            about=f"person-{number}@example.test",
            due_at=at + FAR_AHEAD if number < mix.scheduled else None,
        )
        for number in range(MODEL)
    ]
    uploads = [Touch(key, at) for key in {key for task in tasks for key in task.files}]
    touch_files(connection, uploads)
    record_stored(connection, uploads)
    accept(connection, [Submission(task, keyed(task.id)) for task in tasks])
    published = tasks[mix.scheduled + mix.unpublished :]
    connection.execute(OUTBOX.delete().where(OUTBOX.c.task_id.in_([task.id for task in published])))
    begun = published[mix.pending :]
    failed, cancelled = begun[: mix.failed], begun[mix.failed : mix.failed + mix.cancelled]
    completed = begun[mix.failed + mix.cancelled :]
    for type_, some in (
        (LifecycleType.STARTED, begun),
        (LifecycleType.COMPLETED, completed),
        (LifecycleType.CANCELLED, cancelled),
        (LifecycleType.DEAD, failed),
    ):
        apply_events(connection, [report for task in some for report in _reports(type_, task, at)])
    letters = [
        letter_of(_dead(task, f"order-{number} {FAULTS[number % len(FAULTS)]}", at), gate=gate_of())
        for number, task in enumerate(failed)
    ]
    if letters:
        take_in(connection, letters)
    return min(task.id for task in tasks)


def _reports(type_: LifecycleType, task: NewTask, at: datetime) -> list[LifecycleEvent]:
    facts: dict[str, Any] = {}
    if type_ is not LifecycleType.STARTED:
        facts["seconds"] = 0.01
    if type_ is LifecycleType.COMPLETED:
        facts["result"] = {"message_id": f"<{task.id}@waybill>", "status": 200}
    if type_ is LifecycleType.DEAD:
        facts |= {"error": ERROR, "reason": "exhausted"}
    return [
        lifecycle_event(
            type_,
            at,
            LifecycleData(
                task_id=task.id,
                service=service,
                kind=task.kind,
                redrive_no=0,
                attempt=1,
                max_attempts=4,
                **facts,
            ),
        )
        for service in task.services
    ]


def _dead(task: NewTask, message: str, at: datetime) -> Any:
    error = ERROR.model_copy(update={"message": message})
    return dead_message(event_in(task), task.id, service=task.services[0], error=error, died_at=at, attempt=1)


async def _make_inbox_model(inbox: Inbox, records: Records) -> str:
    envelopes = [envelope_of(sync_event()) for _ in range(MODEL)]
    outcome = Completed(at=datetime.now(UTC), seconds=0.01, max_attempts=4, result={"status": 200})
    tickets = await asyncio.gather(*map(inbox.claim, envelopes))
    await asyncio.gather(
        *(
            inbox.record(ticket.owner, envelope, outcome)  # type: ignore[union-attr] # all of them are new
            for ticket, envelope in zip(tickets, envelopes, strict=True)
        )
    )
    await records.close()
    return min(envelope.task_id for envelope in envelopes)


def _copy_ledger(connection: Connection, copy: _Copy) -> None:
    for table in _COPIED:
        _copy_rows(connection, table, copy)
    old, new = DEAD_LETTERS.alias("old"), DEAD_LETTERS.alias("new")
    messages = [column for column in DEAD_LETTER_MESSAGES.c if column.name != "letter_id"]
    of_the_copy = func.replace(old.c.letter_key, old.c.task_id, _copied_id(old.c.task_id, copy))
    connection.execute(
        DEAD_LETTER_MESSAGES.insert().from_select(
            ["letter_id", *(column.name for column in messages)],
            select(new.c.id, *messages)
            .join(old, old.c.id == DEAD_LETTER_MESSAGES.c.letter_id)
            .join(new, new.c.letter_key == of_the_copy)
            .where(old.c.task_id >= copy.first_id),
        )
    )
    # One file in a thousand tasks, which all of its copies share.
    uses = select(func.count()).select_from(TASK_FILES).scalar_subquery()
    connection.execute(FILES.update().values(tasks=uses))


def _copy_rows(connection: Connection, table: Table, copy: _Copy) -> None:
    columns = [column for column in table.c if column.autoincrement is not True]
    marks = next(
        column
        for column in (table.c.get("task_id"), table.c.get("id"), table.c.get("key"))
        if column is not None
    )
    reference = table.c.reference if table is IDEMPOTENCY else marks
    connection.execute(
        table.insert().from_select(
            [column.name for column in columns],
            select(*(_copied(table, column, copy) for column in columns)).where(reference >= copy.first_id),
            include_defaults=False,
        )
    )


def _copied(table: Table, column: ColumnElement[Any], copy: _Copy) -> ColumnElement[Any]:
    name = str(column.key)
    if name == "letter_key":
        return func.replace(column, table.c.task_id, _copied_id(table.c.task_id, copy))
    if (name in _IDS and table is not TASK_FILES) or name == "task_id" or (table is TASKS and name == "id"):
        return _copied_id(column, copy)
    if name == "owner":
        return literal(copy.prefix[-8:]) + func.substr(column, 9)
    if isinstance(column.type, Instant):
        return type_coerce(column, BigInteger) - copy.older
    return column


def _copied_id(column: ColumnElement[Any], copy: _Copy) -> ColumnElement[Any]:
    return literal(copy.prefix) + func.substr(column, _TIME_LENGTH + 1)


def _analyse(records: Records) -> None:
    # As its autovacuum would have done by itself; SQLite has none, and plans without statistics.
    if records.engine.dialect.name == "postgresql":
        with records.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
