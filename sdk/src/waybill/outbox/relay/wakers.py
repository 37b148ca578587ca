"""What wakes a relay that has nothing to do: a commit of the application."""

import sqlite3
import time
from collections.abc import Callable
from threading import Event
from typing import Any, Final, Protocol

import psycopg
from sqlalchemy import URL, Engine

from waybill.outbox.relay.database import connect_file
from waybill.outbox.rows import CHANNEL, LOCK

#: Seconds between two looks whether there are rows all the same: of a relay that died, or whose time to be
#: posted again has come.
LOOK_SECONDS: Final = 1.0
#: The same while nothing notifies this relay.
_UNNOTIFIED_SECONDS: Final = 0.1
#: Seconds between two looks at the version of a SQLite file: a read of one page.
_VERSION_SECONDS: Final = 0.02
#: Seconds that a stop may have to wait.
_STOP_SECONDS: Final = 0.25
#: Seconds between two looks while transactions are open that do not notify.
_COMMITTING_SECONDS: Final = 0.03
#: Seconds between two tries to listen again.
_LISTEN_AGAIN_SECONDS: Final = 5.0


class Waker(Protocol):
    """Waits until there may be rows."""

    def mark(self) -> None:
        """Called before each look for rows: what is committed later wakes."""

    def wait(self, stop: Event) -> None:
        """Returns when rows may have been committed, or it is time to look."""

    def close(self) -> None:
        """Closes its connection."""


def waker_of(engine: Engine, url: URL) -> Waker:
    """The waker for a database."""
    if url.get_backend_name() == "postgresql":
        arguments, options = engine.dialect.create_connect_args(url)
        return NotifyWaker(lambda: psycopg.connect(*arguments, **options, autocommit=True))
    return VersionWaker(str(url.database))


#: The advisory lock of the outbox: see `waybill.outbox.rows`.
_KEY: Final = f"{LOCK}, 'waybill_outbox'::regclass::oid::int4"
_BEGIN: Final = (
    f"SELECT pg_try_advisory_lock({_KEY}), "
    # Who has it: if it can be shared, transactions that may commit rows without a word.
    f"pg_try_advisory_xact_lock_shared({_KEY})"
)
_END: Final = f"SELECT pg_advisory_unlock({_KEY})"


class NotifyWaker:
    """PostgreSQL notifies it of rows that are committed while it waits; without that it looks often.

    Of several relays that wait, one has the lock that makes transactions notify; all are notified.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._connect = connect
        self._connection: psycopg.Connection[Any] | None = None
        self._next_try = 0.0
        self._has_lock = False

    def mark(self) -> None:
        """Listens, if it does not yet."""
        if self._connection is not None or time.monotonic() < self._next_try:
            return
        self._next_try = time.monotonic() + _LISTEN_AGAIN_SECONDS
        try:
            self._connection = self._connect()
            self._connection.execute(f"LISTEN {CHANNEL}")
        except psycopg.Error:
            self.close()  # the look for rows that follows says what is wrong with the database

    def wait(self, stop: Event) -> None:
        """Waits for a notification, after it has made sure that there will be one."""
        try:
            if self._connection is not None:
                self._wait(self._connection, stop)
                return
        except psycopg.Error:
            self.close()
        stop.wait(_UNNOTIFIED_SECONDS)

    def close(self) -> None:
        """Closes its connection."""
        self._has_lock = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _wait(self, connection: psycopg.Connection[Any], stop: Event) -> None:
        if not self._has_lock:
            self._has_lock, others_commit = connection.execute(_BEGIN).fetchone() or (False, True)
            if self._has_lock:
                return  # to one more look: rows may have been committed before
            if others_commit:
                stop.wait(_COMMITTING_SECONDS)
                return
        if self._is_notified(connection, stop) and self._has_lock:
            # Rows that come while this relay posts are found by its next look.
            connection.execute(_END)
            self._has_lock = False

    def _is_notified(self, connection: psycopg.Connection[Any], stop: Event) -> bool:
        ends = time.monotonic() + LOOK_SECONDS
        while (left := ends - time.monotonic()) > 0 and not stop.is_set():
            if any(True for _ in connection.notifies(timeout=min(left, _STOP_SECONDS), stop_after=1)):
                return True
        return False


class VersionWaker:
    """Looks often whether another connection has changed the SQLite file, which costs no lock of it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._marked: int | None = None

    def mark(self) -> None:
        """Keeps the version of the file."""
        self._marked = self._version()

    def wait(self, stop: Event) -> None:
        """Waits for another version of the file."""
        ends = time.monotonic() + LOOK_SECONDS
        while not stop.wait(_VERSION_SECONDS) and time.monotonic() < ends:
            version = self._version()
            if version is None or version != self._marked:
                return

    def close(self) -> None:
        """Closes its connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _version(self) -> int | None:
        try:
            if self._connection is None:
                self._connection = connect_file(self._path)
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            self.close()
            return None
        return int(version)
