"""When each task was sent and begun, and how often it was run: a file that all processes of a run map.

The work of every measured system is one call of `Stamps.begin`: it costs a microsecond, it is equal for
all, and shows afterwards which tasks were run, how long after their POST, and whether twice.
"""

import mmap
import os
import time
from collections.abc import Mapping
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
#: The steps of a pickup of Waybill's, in their order, and what they end with.
STEPS: Final[Mapping[str, str]] = {
    "routed": "its body is validated",
    "accepting": "its accept waits for a commit",
    "accept_begun": "the commit begins",
    "accept_committed": "it is committed",
    "accepted": "its request goes on",
    "published": "it is published",
    "delivered": "the service has it",
    "claiming": "its claim waits for a commit",
    "claim_begun": "that begins",
    "claim_committed": "it is committed",
    "claimed": "its attempt goes on",
}


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


class Steps:
    """When each task has passed each of `STEPS`; in `path`, which is made if it is missing."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.truncate(CAPACITY * len(STEPS) * _BYTES)
            self._view = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")
        self._columns = {step: column for column, step in enumerate(STEPS)}

    @classmethod
    def beside(cls, stamps: Stamps) -> Self:
        """Those of the same run."""
        return cls(stamps.path.with_suffix(".steps"))

    @classmethod
    def from_environment(cls) -> Self:
        """Those of the run that this process is part of."""
        return cls.beside(Stamps.from_environment())

    def note(self, number: int, step: str) -> None:
        """Task `number` passes a step now; only the first time counts."""
        at = number * len(STEPS) + self._columns[step]
        if not self._view[at]:
            self._view[at] = time.monotonic_ns()

    def passed(self, number: int) -> dict[str, int]:
        """When a task has passed the steps, in nanoseconds, in their order; without unknown ones."""
        first = number * len(STEPS)
        times = zip(STEPS, self._view[first : first + len(STEPS)].tolist(), strict=True)
        return {step: at for step, at in times if at}
