"""Waits for a database that is not available yet: pauses between tries, and intervals of log lines."""

import random
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from waybill_database.engine import open_engine
from waybill_database.faults import Fault, fault_of

#: Seconds between two tries: the first pauses are short, because most databases are only restarting.
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 5.0
#: Seconds between two log lines about it.
LOG_SECONDS: Final = 60.0
#: Faults that end by themselves or are fixed at the database: a waiting process needs no restart.
_TEMPORARY: Final = frozenset({Fault.AWAY, Fault.STALE, Fault.CONFLICT, Fault.HELD_UP, Fault.REFUSED})


class Wait:
    """One wait for a database.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = FIRST_PAUSE
        self._logged_at: float | None = None

    def can_help(self, error: BaseException) -> bool:
        """Whether the database may become available, despite this error."""
        return fault_of(error) in _TEMPORARY

    def should_log(self) -> bool:
        """Whether a log line is due: at once, then once a minute."""
        now = self._clock()
        if self._logged_at is not None and now - self._logged_at < LOG_SECONDS:
            return False
        self._logged_at = now
        return True

    def pause(self) -> float:
        """Seconds until the next try; random, so that not all processes try at once."""
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return pause * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, guards nothing


def until_reachable(url: str, report: Callable[[str], object]) -> None:
    """Waits until the database at `url` accepts a connection; blocks, for commands.

    Args:
        url: of the database.
        report: gets a line for people, at once and then every minute.

    Raises:
        SQLAlchemyError: it refuses access.
    """
    wait = Wait()
    while True:
        engine = open_engine(url, connections=1)
        try:
            engine.connect().close()
        except SQLAlchemyError as error:
            # Imported here, because importing the driver costs a process on SQLite ten megabytes.
            from waybill_database.encoding import EncodingError  # noqa: PLC0415 - see the comment

            if isinstance(getattr(error, "orig", None), EncodingError):
                # The server is reached: a superuser uses any database of it, others check theirs again.
                return
            if fault_of(error) is not Fault.AWAY:
                raise
            if wait.should_log():
                report(f"the database cannot be reached, waiting for it: {reason_of(error)}")
        else:
            return
        finally:
            engine.dispose()
        time.sleep(wait.pause())


def reason_of(error: BaseException) -> str:
    """Message of the database or its driver, on one line."""
    words = str(getattr(error, "orig", None) or error).split()
    return " ".join(words)
