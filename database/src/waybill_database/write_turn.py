"""Taking turns at writing a SQLite file.

SQLite lets one process write at a time, and the others poll for the lock with growing pauses of up to 100 ms:
under load a polling process loses again and again. With a file lock of the kernel they wait in a queue
instead: the kernel wakes the next one at once, and releases the lock of a process that dies.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TextIO

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

#: Opens the turn of one write transaction.
WriteTurn = Callable[[], AbstractContextManager[object]]


def write_turn(engine: Engine) -> WriteTurn:
    """How to wait for a turn: with a lock file beside a SQLite file, and not at all on PostgreSQL."""
    path = _path(engine)
    if path is None:
        return nullcontext

    @contextmanager
    def turn() -> Iterator[None]:
        # Closing the file releases the lock.
        with _opened(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    return turn


class RepeatedTurn:
    """The turns of one thread that writes often: its lock file stays open.

    Should somebody delete the lock file, its writers still exclude each other by SQLite's own lock.
    """

    def __init__(self, engine: Engine) -> None:
        self._path = _path(engine)
        self._file: TextIO | None = None

    def __enter__(self) -> None:
        """Waits for the turn.

        Raises:
            OperationalError: the lock file is not writable, and so neither is the database beside it.
        """
        if self._path is None:
            return
        if self._file is None:
            self._file = _opened(self._path)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        """Gives the turn to the next one."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Closes the lock file; it is opened again for the next turn."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _path(engine: Engine) -> Path | None:
    if engine.dialect.name != "sqlite" or engine.url.database is None:
        return None
    return Path(f"{engine.url.database}.turn")


def _opened(path: Path) -> TextIO:
    """Opens the lock file.

    Raises:
        OperationalError: it is not writable, and so neither is the database beside it.
    """
    try:
        return path.open("w")
    except OSError as error:
        raise OperationalError("waiting for the turn to write", None, error) from error
