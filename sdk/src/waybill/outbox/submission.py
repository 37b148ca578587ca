"""Writing an event into the application outbox, in the application's own transaction."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypedDict, Unpack, overload

from waybill.outbox.rows import INSERT, INSERT_AND_NOTIFY, NewRow, Priority, new_row, values_of
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

Writer = Callable[[Any, NewRow], Awaitable[None] | None]


class Options(TypedDict, total=False):
    """The options of a submission: see `submit`."""

    key: str | None
    delay_seconds: float | timedelta | None
    send_at: datetime | None
    priority: Priority
    order_key: str | None


@overload
def submit(target: "Plain", event: Event, **options: Unpack[Options]) -> str: ...


@overload
def submit(target: "Awaited", event: Event, **options: Unpack[Options]) -> Awaitable[str]: ...


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
        OutboxError: the contract does not allow the data, or an option is wrong; nothing was written.
        TypeError: `target` has no transaction.
    """
    writer = _writer_of(type(target))
    row = new_row(event, **options)
    written = writer(target, row)
    return row.id if written is None else _id_after(written, row.id)


async def _id_after(written: Awaitable[None], id_: str) -> str:
    await written
    return id_


def _writer_of(type_: type) -> Writer:
    # By their names: an application has one of these libraries, and the others need not be installed.
    for base in type_.__mro__:
        if writer := _WRITERS.get((base.__module__.partition(".")[0], base.__name__)):
            return writer
    raise TypeError(
        f"{type_.__module__}.{type_.__name__} has no transaction to write into: give a Session or Connection "
        "of SQLAlchemy, or a connection of psycopg or Django"
    )


def _by_connection(connection: Any, row: NewRow) -> None:
    from waybill.outbox.schema import write_row  # noqa: PLC0415 - SQLAlchemy may not be installed

    write_row(connection, row)


def _by_session(session: Any, row: NewRow) -> None:
    _by_connection(session.connection(), row)


async def _by_async_connection(connection: Any, row: NewRow) -> None:
    await connection.run_sync(_by_connection, row)


async def _by_async_session(session: Any, row: NewRow) -> None:
    await (await session.connection()).run_sync(_by_connection, row)


def _by_psycopg(connection: Any, row: NewRow) -> None:
    connection.execute(INSERT_AND_NOTIFY, values_of(row))


async def _by_async_psycopg(connection: Any, row: NewRow) -> None:
    await connection.execute(INSERT_AND_NOTIFY, values_of(row))


def _by_django(connection: Any, row: NewRow) -> None:
    statement = INSERT_AND_NOTIFY if connection.vendor == "postgresql" else INSERT
    with connection.cursor() as cursor:
        cursor.execute(statement, values_of(row))


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
