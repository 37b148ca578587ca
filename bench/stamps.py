"""When each task was sent and begun, and how often it was run: a file that all processes of a run map.

The work of every measured system is one call of `Stamps.begin`: it costs a microsecond, it is equal for
all, and shows afterwards which tasks were run, how long after their POST, and whether twice.
"""

import mmap
import os
import time
from pathlib import Path
from typing import Final, Self

#: Of each task: sent and begun, in nanoseconds of the monotonic clock, which Linux shares between processes;
#: and its runs.
_SENT, _BEGUN, _RUNS, _FIELDS = 0, 1, 2, 3
_BYTES = 8
#: Tasks in one file: more than any run has. A page that is not touched takes no room.
CAPACITY: Final = 2_000_000
#: Environment variable with the path of the file.
VARIABLE: Final = "BENCH_STAMPS"


class Stamps:
    """The stamps in `path`, which is made if it is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.truncate(CAPACITY * _FIELDS * _BYTES)
            self._view = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")

    @classmethod
    def from_environment(cls) -> Self:
        """Those of the run that this process is part of."""
        return cls(Path(os.environ[VARIABLE]))

    def send(self, number: int) -> None:
        """Task `number` is posted now."""
        self._view[number * _FIELDS + _SENT] = time.monotonic_ns()

    def begin(self, number: int) -> None:
        """Task `number` is run now: the work itself."""
        self._view[number * _FIELDS + _BEGUN] = time.monotonic_ns()
        self._view[number * _FIELDS + _RUNS] += 1

    def sent(self, count: int) -> list[int]:
        """When each of the first `count` tasks was posted, in nanoseconds; 0: it was not."""
        return self._column(_SENT, count)

    def begun(self, count: int) -> list[int]:
        """When each was last begun, in nanoseconds; 0: it was not."""
        return self._column(_BEGUN, count)

    def runs(self, count: int) -> list[int]:
        """How often each was run."""
        return self._column(_RUNS, count)

    def _column(self, column: int, count: int) -> list[int]:
        return self._view[column : count * _FIELDS : _FIELDS].tolist() if count else []
