"""A lock among the processes of one user."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_at_a_time(doing: str) -> Iterator[None]:
    """Waits until no other process of this user does it; that process may have done the work already.

    Args:
        doing: the work that one process does at a time; part of the lock file's name.
    """
    lock = Path(tempfile.gettempdir()) / f"waybill-{doing}-{os.getuid()}.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
