"""Keeps the time of a process by the clock of its database, and logs a clock that is wrong."""

from datetime import timedelta
from typing import ClassVar, Final

from sqlalchemy.exc import SQLAlchemyError

from waybill_database import LEAP, Records, system_time
from waybill_worker.observe import get_logger
from waybill_worker.runtime.periodic_task import PeriodicTask

log = get_logger(__name__)

#: Seconds between two readings of the clock.
CHECK_SECONDS: Final = 10.0


class Timekeeper(PeriodicTask):
    """Reads the clock again and again while it runs."""

    NAME: ClassVar = "timekeeper"

    def __init__(self, records: Records, *, every_seconds: float = CHECK_SECONDS) -> None:
        super().__init__(every_seconds=every_seconds)
        self._records = records
        self._leap: timedelta | None = None
        self._is_off = False

    async def begin(self) -> None:
        """Reads the clock once, before any decision by it, then again and again."""
        try:
            await self.look()
        except SQLAlchemyError as error:
            # Until it answers, the time is this machine's.
            log.warning("the database returns no time yet", error=error)
        self.start()

    async def look(self) -> None:
        """Reads the clock once."""
        await self._records.sync_clock()
        leap = self._records.clock.leap
        if leap is not None and self._leap is None:
            log.error(
                "a clock was set forward; the time before is used until the new one has lasted for minutes",
                seconds=leap.total_seconds(),
            )
        if leap is None and self._leap is not None:
            log.warning("the clock is used again", seconds=self._leap.total_seconds())
        self._leap = leap
        self._compare()

    def _compare(self) -> None:
        off = self._records.now() - system_time()
        is_off = abs(off) > LEAP
        if is_off and not self._is_off:
            log.warning("this machine's clock differs from the database's", seconds=off.total_seconds())
        self._is_off = is_off

    async def _run_once(self) -> None:
        await self.look()
