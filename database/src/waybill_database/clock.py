"""The clock of decisions: what is due, which lease has expired, what is old enough to be pruned.

A clock may be wrong for a while, and decisions of that time stay: a mail that is due in two hours is sent, a
record is pruned. So all processes that share a PostgreSQL database use its clock. A clock that is set
forward, by hand or by a fault, is not trusted at once: for some minutes time continues by the elapsed seconds
of the machine. A clock that is set back is trusted at once: then things are late, but nothing is early.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

#: A clock that is further ahead than this was set. Slewing and slow answers stay far below.
LEAP: Final = timedelta(seconds=60)
#: How long a clock that was set forward must stay so before it is trusted.
TRUST_AFTER: Final = timedelta(minutes=5)


def elapsed_seconds() -> float:
    """Monotonic seconds; including sleep of the machine, if the system counts it."""
    boottime: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


def system_time() -> datetime:
    """Time of the clock of this machine."""
    return datetime.now(UTC)


class Clock:
    """A clock that does not leap ahead.

    Args:
        is_remote: it is set by readings of another clock, and counts elapsed seconds in between; otherwise it
            reads the clock of this machine on each call.
        system: clock of the machine.
        elapsed: monotonic seconds.
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
        #: Time at zero elapsed seconds; of a remote clock, by this machine until the first reading.
        self._origin = system() - timedelta(seconds=elapsed())
        self._has_reading = not is_remote
        #: How far it was set forward, if not trusted yet, and at which elapsed seconds.
        self._leap: tuple[timedelta, float] | None = None

    def now(self) -> datetime:
        """The current time."""
        if not self._is_remote and self.observe(shown := self._system()):
            return shown
        return self._origin + timedelta(seconds=self._elapsed())

    @property
    def leap(self) -> timedelta | None:
        """How far the clock was set forward, as long as that is not trusted."""
        return None if self._leap is None else self._leap[0]

    def observe(self, shown: datetime) -> bool:
        """Takes a reading of the clock; returns whether it is trusted, and so the current time."""
        with self._lock:
            elapsed = self._elapsed()
            origin = shown - timedelta(seconds=elapsed)
            ahead = origin - self._origin
            if self._has_reading and ahead > LEAP and not self._is_trusted(ahead, elapsed):
                return False
            self._origin, self._has_reading, self._leap = origin, True, None
        return True

    def _is_trusted(self, ahead: timedelta, elapsed: float) -> bool:
        if self._leap is None or abs(ahead - self._leap[0]) > LEAP:
            self._leap = ahead, elapsed
        return elapsed - self._leap[1] >= TRUST_AFTER.total_seconds()
