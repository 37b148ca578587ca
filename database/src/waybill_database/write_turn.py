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
WriteTurn = Callable[[], AbstractContextManager[None]]


def write_turn(engine: Engine) -> WriteTurn:
    """How to wait for a turn: with a lock file beside a SQLite file, and not at all on PostgreSQL."""
    if engine.dialect.name != "sqlite" or engine.url.database is None:
        return nullcontext
    path = Path(f"{engine.url.database}.turn")

    @contextmanager
    def turn() -> Iterator[None]:
        # Closing the file releases the lock.
        with _opened(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    return turn


def _opened(path: Path) -> TextIO:
    """Opens the lock file.

    Raises:
        OperationalError: it is not writable, and so neither is the database beside it.
    """
    try:
        return path.open("w")
    except OSError as error:
        raise OperationalError("waiting for the turn to write", None, error) from error
