"""Taking turns at writing a SQLite file.

SQLite lets one process write at a time, and has the others poll for the lock with growing pauses of up to
100 ms: under load whoever polls loses, again and again. The kernel's file lock has them wait in a queue
instead, wakes the next one at once, and lets go by itself when a process dies.
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
    """How to wait for one's turn: on a lock file beside a SQLite file, and not at all on PostgreSQL."""
    if engine.dialect.name != "sqlite" or engine.url.database is None:
        return nullcontext
    path = Path(f"{engine.url.database}.turn")

    @contextmanager
    def turn() -> Iterator[None]:
        # Closing the file lets the lock go.
        with _opened(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    return turn


def _opened(path: Path) -> TextIO:
    """The lock file.

    Raises:
        OperationalError: it cannot be written, and neither can the database beside it.
    """
    try:
        return path.open("w")
    except OSError as error:
        raise OperationalError("waiting for the turn to write", None, error) from error
