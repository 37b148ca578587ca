"""Engines that keep what they were told to keep, on SQLite and on PostgreSQL."""

import sqlite3
import time
from math import ceil
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import ArgumentError

from waybill_database.faults import PRIMARY, Fault, fault_of

#: Seconds that a SQLite writer waits for another process's transaction; commits take milliseconds.
SQLITE_BUSY_TIMEOUT = 15
#: Seconds between tries to switch a new SQLite file to its write-ahead log.
_SWITCH_PAUSE = 0.01
#: Seconds that a connection to PostgreSQL may take to be made; the driver would wait for minutes.
POSTGRES_CONNECT_TIMEOUT = 10
#: A server that is gone without a word is noticed after about half a minute, by what libpq has the kernel do:
#: a statement would wait for its answer for hours.
_POSTGRES_ALIVE: dict[str, int] = {
    "keepalives_idle": 10,  # seconds of silence, then a question …
    "keepalives_interval": 5,  # … every so many seconds …
    "keepalives_count": 4,  # … and so many without an answer
    "tcp_user_timeout": 30_000,  # milliseconds that what was sent may be left unacknowledged
}
#: Execution option of a connection that only reads: on SQLite it must not queue for the write lock.
READ_ONLY = "waybill_read_only"
#: Execution option of a connection whose writes outlive the process, but perhaps not a power cut right after,
#: which takes the process along. A server that may go down alone flushes them like all others.
RELAXED = "waybill_relaxed"
#: SQLite's two ways to commit to its log: with a flush to the disk, and without (sqlite.org/pragma.html).
_FLUSHED, _WRITTEN = "FULL", "NORMAL"
#: Where it is noted on a SQLite connection which of them holds.
_SYNCHRONOUS = "waybill_synchronous"


def _to_json(value: Any) -> str:
    return to_json(value).decode()


#: JSON columns through pydantic's codec: several times as fast as the standard library's.
_JSON: dict[str, Any] = {"json_serializer": _to_json, "json_deserializer": from_json}


def open_engine(url: str, *, connections: int, answer_seconds: float | None = None) -> Engine:
    """Opens a pool of up to `connections` connections; no error text of it tells the values of a statement.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user:password@host/name`; see
            `parse_url`.
        connections: the pool's size; a caller beyond it waits.
        answer_seconds: on PostgreSQL a statement that takes longer fails, and so does one whose server does
            not answer at all; None: it may take for ever.

    Raises:
        ValueError: neither SQLite nor PostgreSQL, or a SQLite without a file.
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


def parse_url(url: str) -> URL:
    """A database's URL; that of PostgreSQL may name several servers, as libpq has it: `h1:5432,h2:5432`.

    Raises:
        ValueError: it is none. It says nothing of what the URL holds, which may be a password.
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
        raise ValueError("no database's URL: sqlite:///file or postgresql://user@host/name is one") from None
    return one.update_query_dict({"host": several})


def _leave_stale(context: ExceptionContext) -> None:
    """Drops the pool's connections once one of them leads to a database that can only be read.

    After a failover that is the server that was the primary; a new connection finds the one that is.
    """
    error = context.sqlalchemy_exception
    if error is not None and fault_of(error) is Fault.STALE:
        context.is_disconnect = True


def _open_postgres(url: URL, connections: int, answer_seconds: float | None) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=connections,
        max_overflow=0,
        # A connection that the server closed meanwhile is replaced instead of failing its user.
        pool_pre_ping=True,
        connect_args=_POSTGRES_ALIVE | {"connect_timeout": _connect_timeout(answer_seconds)},
        hide_parameters=True,  # errors are logged, and a payload may hold secrets
        **_JSON,
    )
    # Imported here, because importing the driver costs a process on SQLite ten megabytes.
    from waybill_database.encoding import expect_utf8  # noqa: PLC0415 - see the comment

    expect_utf8(engine)
    if answer_seconds is not None:
        from waybill_database.answers import expect_answers  # noqa: PLC0415 - see the comment

        expect_answers(engine, answer_seconds)
    return engine


def _connect_timeout(answer_seconds: float | None) -> int:
    # No less than two: libpq takes none that is shorter.
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
        hide_parameters=True,  # as above
        **_JSON,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # The driver's own implicit BEGIN would come too late and unlocked; `begin` below says it.
        connection.isolation_level = None
        _switch_to_wal(connection)
        for pragma in (
            f"synchronous={_FLUSHED}",  # a commit is on the disk before anyone is told so
            "foreign_keys=ON",
            "secure_delete=ON",  # what is deleted is overwritten; many builds of SQLite do so anyway
            "cache_size=-16000",  # 16 MB of pages for each connection
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes its lock at once: one that upgrades from reading may be refused unwaited.
        options = connection.get_execution_options()
        if options.get(READ_ONLY, False):
            connection.exec_driver_sql("BEGIN")
            return
        wanted = _WRITTEN if options.get(RELAXED, False) else _FLUSHED
        # It can only be changed between transactions, and the next user of the pool may want the other.
        if connection.info.get(_SYNCHRONOUS, _FLUSHED) != wanted:
            sqlite: Any = connection.connection.dbapi_connection
            sqlite.execute(f"PRAGMA synchronous={wanted}")
            connection.info[_SYNCHRONOUS] = wanted
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Has readers and the one writer not wait for each other.

    It changes a new file, once. Of two processes that are at it at the same time SQLite refuses one at once,
    whatever its timeout says, for none of them could go first: so we wait ourselves.
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
