"""The database of a process: the wait for it at the start, and its clock.

It may be away, or refuse this process. Time mends the first. A refusal (password, role, database, rights) is
corrected by people, so it has a log line of its own, and health shows it after a while; the process tries
on, because the correction may be made in the database.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from waybill_database import Fault, Records, Wait, fault_of, reason_of
from waybill_worker.observe import get_logger
from waybill_worker.runtime.components import Component
from waybill_worker.runtime.timekeeper import Timekeeper
from waybill_worker.runtime.tls import distrust

log = get_logger(__name__)

#: Seconds that a refusal may last before the process counts as unhealthy: a database that is being set up may
#: get its roles late.
REFUSAL_GRACE_SECONDS: Final = 60.0


class DatabaseWait:
    """The wait of one process for its database, and its reason.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._refusal: str | None = None
        self._refused_since = 0.0

    async def until_prepared(self, records: Records, prepare: Callable[[Engine], Any]) -> None:
        """Prepares the database for work, however long that takes.

        Args:
            records: the database.
            prepare: the preparation, such as a check of its schema; it may be called again.

        Raises:
            Exception: from `prepare`, if the database itself is not the reason.
            SQLAlchemyError: one side does not trust the other's certificate (`waybill_worker.runtime.tls`).
        """
        wait = Wait()
        while True:
            try:
                await records.prepare(prepare)
            except SQLAlchemyError as error:
                if distrust(error) is not None or not wait.can_help(error):
                    raise
                self._failed(error)
                if wait.should_log():
                    log.warning("the database cannot be used, waiting for it", error=reason_of(error))
            else:
                self._refusal = None
                return
            await asyncio.sleep(wait.pause())

    @property
    def lasting_refusal(self) -> str | None:
        """Why the database refuses this process, once it has done so for longer than the grace time."""
        if self._refusal is None or self._clock() - self._refused_since < REFUSAL_GRACE_SECONDS:
            return None
        return self._refusal

    def _failed(self, error: SQLAlchemyError) -> None:
        if fault_of(error) is not Fault.REFUSED:
            self._refusal = None
            return
        reason = reason_of(error)
        if reason != self._refusal:
            log.critical(
                "the database refuses this process, which waits until that is corrected", reason=reason
            )
        if self._refusal is None:
            self._refused_since = self._clock()
        self._refusal = reason


class Database(Component):
    """The database of a process, as a component.

    Args:
        records: the database; closed at the end.
        prepare: called with its engine at the start until the database does not refuse it.
    """

    def __init__(self, records: Records, prepare: Callable[[Engine], object]) -> None:
        self._records = records
        self._prepare = prepare
        self._wait = DatabaseWait()
        self._timekeeper = Timekeeper(records)

    @property
    def lasting_refusal(self) -> str | None:
        """Why it refuses this process, once it has done so for longer than the grace time."""
        return self._wait.lasting_refusal

    async def start(self) -> None:
        """Wait until it is prepared, then keep time by its clock."""
        await self._wait.until_prepared(self._records, self._prepare)
        await self._timekeeper.begin()

    async def stop(self) -> None:
        """Close it."""
        await self._timekeeper.stop()
        await self._records.close()
