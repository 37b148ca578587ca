"""The time that decisions go by: what is due, whose lease has run out, what is old enough to be forgotten.

A clock may be wrong for a while and then right again. What was decided meanwhile stays: a mail that was due
in two hours is sent, a record is forgotten. So there is one clock for all who share a database, where there
is one: PostgreSQL's own. And a clock that is set forward, by hand or by a fault, is not believed at once: for
some minutes time goes on as before, by the seconds that the machine counts. One that is set back is believed
at once: then things are late, but nothing is early.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

#: A clock that is further ahead than it should be was set. Slewing and slow answers stay far below it.
LEAP: Final = timedelta(seconds=60)
#: So long a clock that was set forward must stay so until it is believed.
DISBELIEF: Final = timedelta(minutes=5)


def elapsed_seconds() -> float:
    """Seconds that nobody sets; where the system tells them, with those for which the machine slept."""
    boottime: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


def system_time() -> datetime:
    """What the machine's clock shows."""
    return datetime.now(UTC)


class Clock:
    """A clock that does not leap ahead.

    Args:
        is_remote: it is told the time by another machine, and goes by elapsed seconds in between; else it
            looks at this machine's clock whenever it is asked.
        system: the machine's clock.
        elapsed: seconds that only go forward.
    """

    def __init__(
        self,
        *,
        is_remote: bool = False,
        system: Callable[[], datetime] = system_time,
        elapsed: Callable[[], float] = elapsed_seconds,
    ) -> None:
        self._is_remote = is_remote
        self._system = system
        self._elapsed = elapsed
        self._lock = threading.Lock()
        #: The time when no seconds had elapsed; of a remote clock, by this machine until the other has told.
        self._origin = system() - timedelta(seconds=elapsed())
        self._was_told = not is_remote
        #: By how much it was set forward, if that is not believed yet, and since how many elapsed seconds.
        self._leap: tuple[timedelta, float] | None = None

    def now(self) -> datetime:
        """The time."""
        if not self._is_remote:
            self.tell(self._system())
        return self._origin + timedelta(seconds=self._elapsed())

    @property
    def leap(self) -> timedelta | None:
        """By how much the clock was set forward, as long as that is not believed."""
        return None if self._leap is None else self._leap[0]

    def tell(self, shown: datetime) -> None:
        """Takes notice of what the clock shows now."""
        with self._lock:
            elapsed = self._elapsed()
            told = shown - timedelta(seconds=elapsed)
            ahead = told - self._origin
            if self._was_told and ahead > LEAP and not self._is_believed(ahead, elapsed):
                return
            self._origin, self._was_told, self._leap = told, True, None

    def _is_believed(self, ahead: timedelta, elapsed: float) -> bool:
        if self._leap is None or abs(ahead - self._leap[0]) > LEAP:
            self._leap = ahead, elapsed
        return elapsed - self._leap[1] >= DISBELIEF.total_seconds()
