"""What wakes a relay that has nothing to do: a commit of the application."""

import sqlite3
import time
from collections.abc import Callable
from threading import Event
from typing import Any, Final, Protocol

import psycopg
from sqlalchemy import URL, Engine

from waybill.outbox.rows import CHANNEL

#: Seconds between two looks whether there are rows all the same: of a relay that died, or whose time to be
#: posted again has come.
LOOK_SECONDS: Final = 1.0
#: The same while nothing notifies this relay.
_UNNOTIFIED_SECONDS: Final = 0.1
#: Seconds between two looks at the version of a SQLite file: a read of one page.
_VERSION_SECONDS: Final = 0.02
#: Seconds that a stop may have to wait.
_STOP_SECONDS: Final = 0.25
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


class NotifyWaker:
    """PostgreSQL notifies it at each commit with a row; without that it looks often."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._connect = connect
        self._connection: psycopg.Connection[Any] | None = None
        self._next_try = 0.0

    def mark(self) -> None:
        """Listens, if it does not yet."""
        if self._connection is not None or time.monotonic() < self._next_try:
            return
        self._next_try = time.monotonic() + _LISTEN_AGAIN_SECONDS
        try:
            connection = self._connect()
            connection.execute(f"LISTEN {CHANNEL}")
        except psycopg.Error:
            return  # the look for rows that follows says what is wrong with the database
        self._connection = connection

    def wait(self, stop: Event) -> None:
        """Waits for a notification."""
        ends = time.monotonic() + LOOK_SECONDS
        while self._connection is not None and not stop.is_set():
            left = ends - time.monotonic()
            if left <= 0:
                return
            try:
                if any(
                    True for _ in self._connection.notifies(timeout=min(left, _STOP_SECONDS), stop_after=1)
                ):
                    return
            except psycopg.Error:
                self.close()
        stop.wait(_UNNOTIFIED_SECONDS)

    def close(self) -> None:
        """Closes its connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


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
                self._connection = sqlite3.connect(self._path, check_same_thread=False)
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            self.close()
            return None
        return int(version)
