"""The way of a relay to the application's database."""

import sqlite3
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from waybill.outbox.rows import DialectName, OutboxError, checked_database

#: Seconds to connect, and that a write waits for another one in SQLite.
_CONNECT_SECONDS: Final = 10
_BUSY_SECONDS: Final = 5
#: With these settings of libpq the kernel detects a vanished server in about half a minute.
_ALIVE: Final = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
    "connect_timeout": _CONNECT_SECONDS,
}
#: The driver of each database, whichever the application itself uses.
_DRIVERS: Final[dict[DialectName, str]] = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite+pysqlite"}


def parse_database(url: str | URL) -> URL:
    """The URL of an application's database, with the relay's driver.

    Raises:
        OutboxError: it is no URL, or of a database that the outbox is not made for; the text shows nothing
            of it, because it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise OutboxError(
            "not the URL of a database: postgresql://user@host/name or sqlite:///file is one"
        ) from None
    name = checked_database(parsed.get_backend_name())
    if name == "sqlite" and (not parsed.database or parsed.database == ":memory:"):
        raise OutboxError("a relay needs a database in a file: sqlite:///path/to/file.db")
    return parsed.set(drivername=_DRIVERS[name])


def connect_file(path: str) -> sqlite3.Connection:
    """A connection to a SQLite file, which any thread may use.

    Raises:
        sqlite3.OperationalError: there is no such file; none is made.
    """
    return sqlite3.connect(
        f"file:{quote(path)}?mode=rw", uri=True, timeout=_BUSY_SECONDS, check_same_thread=False
    )


def open_database(url: URL) -> Engine:
    """An engine with a few connections, for `parse_database`'s URL."""
    if url.get_backend_name() == "postgresql":
        return create_engine(
            url, pool_size=2, max_overflow=0, pool_pre_ping=True, connect_args=_ALIVE, hide_parameters=True
        )
    engine = create_engine(
        url,
        creator=lambda: connect_file(str(url.database)),
        pool_size=2,
        max_overflow=0,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # The implicit BEGIN of the driver would come too late and without a lock; `begin` sends it.
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # The lock at once: an upgrade from reading may be refused without waiting.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
