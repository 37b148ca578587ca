"""Waiting for a database that cannot be used yet: how long between two tries, and when to say so."""

import random
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from waybill_database.engine import open_engine
from waybill_database.faults import Fault, fault_of

#: Seconds between two tries: the first ones come quickly, for most databases are only restarting.
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 5.0
#: Seconds between two lines about it.
TELL_SECONDS: Final = 60.0
#: What time mends, or people at the database's side: whoever waits for it need not be started again.
_MENDED: Final = frozenset({Fault.AWAY, Fault.STALE, Fault.CONFLICT, Fault.HELD_UP, Fault.REFUSED})


class Wait:
    """One wait for a database.

    Args:
        clock: tells seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = FIRST_PAUSE
        self._told_at: float | None = None

    def can_help(self, error: BaseException) -> bool:
        """Whether the database may be usable later, though `error` came of using it."""
        return fault_of(error) in _MENDED

    def is_to_be_told(self) -> bool:
        """Whether a line about it is due: at once, then once a minute."""
        now = self._clock()
        if self._told_at is not None and now - self._told_at < TELL_SECONDS:
            return False
        self._told_at = now
        return True

    def pause(self) -> float:
        """Seconds until the next try; drawn, so that not all processes come at once."""
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return pause * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, guards nothing


def until_reachable(url: str, tell: Callable[[str], object]) -> None:
    """Returns once the database at `url` lets us in; for commands, which do nothing else meanwhile.

    Args:
        url: of the database.
        tell: given a line for people, at once and then every minute.

    Raises:
        SQLAlchemyError: it is there, and refuses us.
    """
    wait = Wait()
    while True:
        engine = open_engine(url, connections=1)
        try:
            engine.connect().close()
        except SQLAlchemyError as error:
            if fault_of(error) is not Fault.AWAY:
                raise
            if wait.is_to_be_told():
                tell(f"the database cannot be reached, waiting for it: {reason_of(error)}")
        else:
            return
        finally:
            engine.dispose()
        time.sleep(wait.pause())


def reason_of(error: BaseException) -> str:
    """What the database or its driver said, in one line."""
    said = str(getattr(error, "orig", None) or error).split()
    return " ".join(said)
