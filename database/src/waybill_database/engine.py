"""Engines with durable commits, for SQLite and PostgreSQL."""

import sqlite3
import time
from math import ceil
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from waybill_database.driver_statement import execute_driver_sql
from waybill_database.faults import PRIMARY, Fault, fault_of

#: Seconds that a SQLite writer waits for the transaction of another process; commits take milliseconds.
SQLITE_BUSY_TIMEOUT = 15
#: Seconds between tries to switch a new SQLite file to its write-ahead log.
_SWITCH_PAUSE = 0.01
#: Seconds to connect to PostgreSQL; the driver would wait for minutes.
POSTGRES_CONNECT_TIMEOUT = 10
#: With these settings of libpq the kernel detects a vanished server in about half a minute; otherwise a
#: statement would wait for hours.
_POSTGRES_ALIVE: dict[str, int] = {
    "keepalives_idle": 10,  # seconds of silence before a probe …
    "keepalives_interval": 5,  # … seconds between probes …
    "keepalives_count": 4,  # … and unanswered probes
    "tcp_user_timeout": 30_000,  # milliseconds that sent data may stay unacknowledged
}
#: Execution option of a connection that only reads: on SQLite it does not take the write lock.
READ_ONLY = "waybill_read_only"
#: Execution option of a connection with writes that survive the process, but perhaps not a power cut right
#: after them. PostgreSQL, which may fail without the process, flushes them like all others.
RELAXED = "waybill_relaxed"
#: SQLite's two ways to commit to its log: with a flush to the disk, and without (sqlite.org/pragma.html).
_FLUSHED, _WRITTEN = "FULL", "NORMAL"
#: Key of the current way in the info of a SQLite connection.
_SYNCHRONOUS = "waybill_synchronous"
#: The pool that a connection to PostgreSQL was made for.
_POOL = "waybill_pool"


def _to_json(value: Any) -> str:
    return to_json(value).decode()


#: JSON columns through pydantic's codec: several times as fast as the standard library's.
_JSON: dict[str, Any] = {"json_serializer": _to_json, "json_deserializer": from_json}


def open_engine(url: str, *, connections: int, answer_seconds: float | None = None) -> Engine:
    """Opens a pool of up to `connections` connections; error texts never show the values of a statement.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user:password@host/name`; see
            `parse_url`.
        connections: size of the pool; further callers wait.
        answer_seconds: on PostgreSQL a statement that takes longer fails, and also one without any answer of
            the server; None: no limit.

    Raises:
        ValueError: neither SQLite nor PostgreSQL, or SQLite without a file.
    """
    parsed = parse_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            engine = _open_sqlite(parsed, connections)
        case "postgresql":
            engine = _open_postgres(parsed, connections, answer_seconds)
        case other:
            raise ValueError(f"a database URL begins with sqlite:/// or postgresql://, not {other}:")
    event.listen(engine, "handle_error", _leave_stale)
    return engine


def session_of(connection: Connection) -> int:
    """A number that no other open connection to the database has; 0 on SQLite, where one writes at a time."""
    if connection.dialect.name == "sqlite":
        return 0
    number: int = connection.connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr] # psycopg's
    return number


def parse_url(url: str) -> URL:
    """Parses the URL of a database; PostgreSQL may have several servers as in libpq: `h1:5432,h2:5432`.

    Raises:
        ValueError: invalid URL. The message shows nothing of it, because it may hold a password.
    """
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, hosts = authority.rpartition("@")
    several = hosts.split(",")
    try:
        if len(several) == 1:
            return make_url(url)
        one = make_url(f"{scheme}{separator}{user}{at}{slash}{path}")
    except (ArgumentError, ValueError):
        raise ValueError(
            "not the URL of a database: sqlite:///file or postgresql://user@host/name is one"
        ) from None
    return one.update_query_dict({"host": several})


def _leave_stale(context: ExceptionContext) -> None:
    """Drops the connections of the pool once one of them leads to a read-only database.

    After a failover that is the former primary; a new connection finds the new one.
    """
    error = context.sqlalchemy_exception
    if error is not None and fault_of(error) is Fault.STALE:
        context.is_disconnect = True


def _open_postgres(url: URL, connections: int, answer_seconds: float | None) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=connections,
        max_overflow=0,
        # Replaces a connection that the server has closed, instead of failing its user.
        pool_pre_ping=True,
        connect_args=_POSTGRES_ALIVE | {"connect_timeout": _connect_timeout(answer_seconds)},
        hide_parameters=True,  # errors are logged, and a payload may hold secrets
        **_JSON,
    )

    @event.listens_for(engine, "connect")
    def note_pool(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[_POOL] = engine.pool

    @event.listens_for(engine, "checkin")
    def leave_former_pool(_connection: Any, record: ConnectionPoolEntry) -> None:
        # `engine.dispose` replaces the pool. What was in use goes back to the former one, which keeps it.
        if record.info.get(_POOL) is not engine.pool:
            record.invalidate()

    # Imported here, because importing the driver costs a process on SQLite ten megabytes.
    from waybill_database.encoding import expect_utf8  # noqa: PLC0415 - see the comment
    from waybill_database.postgres_connection import configure_connections  # noqa: PLC0415 - see the comment

    expect_utf8(engine)
    configure_connections(engine, answer_seconds)
    return engine


def _connect_timeout(answer_seconds: float | None) -> int:
    # At least two: libpq takes no shorter timeout.
    return (
        POSTGRES_CONNECT_TIMEOUT
        if answer_seconds is None
        else max(2, min(ceil(answer_seconds), POSTGRES_CONNECT_TIMEOUT))
    )


def _open_sqlite(url: URL, connections: int) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ValueError("records need a file: sqlite:///path/to/file.db")
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT, "check_same_thread": False},
        hide_parameters=True,  # errors are logged, and a payload may hold secrets
        **_JSON,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # The implicit BEGIN of the driver would come too late and without a lock; `begin` below sends it.
        connection.isolation_level = None
        _switch_to_wal(connection)
        for pragma in (
            f"synchronous={_FLUSHED}",  # a commit is on the disk before it is reported
            "foreign_keys=ON",
            "secure_delete=ON",  # deleted data is overwritten; many builds of SQLite do so by default
            "cache_size=-16000",  # 16 MB of pages for each connection
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes its lock at once: an upgrade from reading may be refused without waiting.
        options = connection.get_execution_options()
        if options.get(READ_ONLY, False):
            execute_driver_sql(connection, "BEGIN")
            return
        wanted = _WRITTEN if options.get(RELAXED, False) else _FLUSHED
        # It can only be changed between transactions, and the next user of the connection may need the other
        # way.
        if connection.info.get(_SYNCHRONOUS, _FLUSHED) != wanted:
            execute_driver_sql(connection, f"PRAGMA synchronous={wanted}")
            connection.info[_SYNCHRONOUS] = wanted
        execute_driver_sql(connection, "BEGIN IMMEDIATE")

    return engine


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Switches to the write-ahead log, so that readers and the writer do not block each other.

    It changes a new file, once. If two processes do this at the same time, SQLite refuses one at once,
    regardless of the timeout: so this function retries.
    """
    deadline = time.monotonic() + SQLITE_BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & PRIMARY != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_SWITCH_PAUSE)
        else:
            return
