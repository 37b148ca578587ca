"""Writing an event into the application outbox, in the application's own transaction."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypedDict, TypeVar, Unpack, overload

from waybill.calls import Priority
from waybill.outbox.rows import (
    INSERT,
    INSERT_AND_NOTIFY,
    NewRow,
    checked_database,
    new_row,
    values_of,
)
from waybill_contracts.events import Event


class DjangoConnection(Protocol):
    """What is used of Django's connections."""

    vendor: str

    def cursor(self) -> Any:
        """A cursor of the driver."""


if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session, scoped_session

    #: What has a transaction of an application, and is not awaited.
    Plain = Session | Connection | scoped_session[Any] | psycopg.Connection[Any] | DjangoConnection
    Awaited = AsyncSession | AsyncConnection | async_scoped_session[Any] | psycopg.AsyncConnection[Any]

Writer = Callable[[Any, Sequence[NewRow]], Awaitable[None] | None]


Value = TypeVar("Value")


class CommonOptions(TypedDict, total=False):
    """The options of several submissions: see `submit`."""

    delay_seconds: float | timedelta | None
    send_at: datetime | None
    priority: Priority
    order_key: str | None


class Options(CommonOptions, total=False):
    """The options of a submission: see `submit`."""

    key: str | None


@overload
def submit(target: "Plain", event: Event, **options: Unpack[Options]) -> str: ...


@overload
def submit(target: "Awaited", event: Event, **options: Unpack[Options]) -> Coroutine[Any, Any, str]: ...


def submit(target: Any, event: Event, **options: Unpack[Options]) -> Any:
    """Writes an event into the outbox, in the transaction of the application.

    If the transaction is committed, a relay submits the task, however long the gateway is away; if it is
    rolled back, there is no task.

        with Session(engine) as session, session.begin():
            session.add(Order(id="7"))
            outbox.submit(session, InvoiceRequested(order_id="7"))

    With an async session or connection it is awaited: `await outbox.submit(session, event)`.

    Args:
        target: what has the transaction: a session or connection of SQLAlchemy, a connection of psycopg or
            Django.
        event: an instance of the class of a kind, or `task.event(…)` of a handler task.
        options: `key`, an idempotency key (without one the row's id is the key, so that each submission is
            one task); `delay_seconds` or `send_at`, when the task is to begin at the earliest; `priority`,
            `low`, `normal` or `high`; `order_key`, rows that have the same one are submitted in the order in
            which they were written.

    Returns:
        The id of the row, a UUIDv7.

    Raises:
        OutboxError: the contract does not allow the data, an option is wrong, or the outbox is not made for
            the database of `target`; nothing was written.
        TypeError: `target` has no transaction.
    """
    writer = _writer_of(type(target))
    row = new_row(event, **options)
    written = writer(target, [row])
    return row.id if written is None else _after(written, row.id)


@overload
def submit_many(target: "Plain", events: Iterable[Event], **options: Unpack[CommonOptions]) -> list[str]: ...


@overload
def submit_many(
    target: "Awaited", events: Iterable[Event], **options: Unpack[CommonOptions]
) -> Coroutine[Any, Any, list[str]]: ...


def submit_many(target: Any, events: Iterable[Event], **options: Unpack[CommonOptions]) -> Any:
    """Writes events into the outbox together: psycopg waits for the server once, not for each of them.

        outbox.submit_many(session, [InvoiceRequested(order_id=id) for id in ("7", "8")])

    Args:
        target: see `submit`.
        events: each becomes a task.
        options: those of `submit`, for all of them, but for `key`.

    Returns:
        The ids of the rows, in the order of the events.

    Raises:
        OutboxError: as by `submit`; nothing was written.
        TypeError: `target` has no transaction.
    """
    writer = _writer_of(type(target))
    rows = [new_row(event, **options) for event in events]
    ids = [row.id for row in rows]
    written = writer(target, rows)
    return ids if written is None else _after(written, ids)


async def _after(written: Awaitable[None], ids: Value) -> Value:
    await written
    return ids


def _writer_of(type_: type) -> Writer:
    # By their names: an application has one of these libraries, and the others need not be installed.
    for base in type_.__mro__:
        if writer := _WRITERS.get((base.__module__.partition(".")[0], base.__name__)):
            return writer
    raise TypeError(
        f"{type_.__module__}.{type_.__name__} has no transaction to write into: give a Session or Connection "
        "of SQLAlchemy, or a connection of psycopg or Django"
    )


def _by_connection(connection: Any, rows: Sequence[NewRow]) -> None:
    from waybill.outbox.schema import write_rows  # noqa: PLC0415 - SQLAlchemy may not be installed

    write_rows(connection, rows)


def _by_session(session: Any, rows: Sequence[NewRow]) -> None:
    _by_connection(session.connection(), rows)


async def _by_async_connection(connection: Any, rows: Sequence[NewRow]) -> None:
    await connection.run_sync(_by_connection, rows)


async def _by_async_session(session: Any, rows: Sequence[NewRow]) -> None:
    await (await session.connection()).run_sync(_by_connection, rows)


def _by_psycopg(connection: Any, rows: Sequence[NewRow]) -> None:
    with connection.cursor() as cursor:
        _run(cursor, INSERT_AND_NOTIFY, rows)


async def _by_async_psycopg(connection: Any, rows: Sequence[NewRow]) -> None:
    async with connection.cursor() as cursor:
        await _run(cursor, INSERT_AND_NOTIFY, rows)


def _by_django(connection: Any, rows: Sequence[NewRow]) -> None:
    statement = INSERT_AND_NOTIFY if checked_database(connection.vendor) == "postgresql" else INSERT
    with connection.cursor() as cursor:
        _run(cursor, statement, rows)


def _run(cursor: Any, statement: str, rows: Sequence[NewRow]) -> Any:
    values = [values_of(row) for row in rows]
    # For one row `executemany` would do more than it has to; for none it does nothing.
    return cursor.execute(statement, *values) if len(values) == 1 else cursor.executemany(statement, values)


_WRITERS: Final[dict[tuple[str, str], Writer]] = {
    ("sqlalchemy", "Connection"): _by_connection,
    ("sqlalchemy", "Session"): _by_session,
    ("sqlalchemy", "scoped_session"): _by_session,
    ("sqlalchemy", "AsyncConnection"): _by_async_connection,
    ("sqlalchemy", "AsyncSession"): _by_async_session,
    ("sqlalchemy", "async_scoped_session"): _by_async_session,
    ("psycopg", "Connection"): _by_psycopg,
    ("psycopg", "AsyncConnection"): _by_async_psycopg,
    ("django", "BaseDatabaseWrapper"): _by_django,
    ("django", "ConnectionProxy"): _by_django,
}
