"""The sweep: publishes what the outbox still holds, and scheduled tasks when they are due."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

from sqlalchemy.exc import SQLAlchemyError

from chassis.logs import get_logger
from chassis.publisher import Publisher
from chassis.relay import relay_all
from database import Records
from ledger import Sweep, forget_swept, next_due, put_back, take_due
from status_service.background import Background

log = get_logger(__name__)

#: Seconds between looks at the outbox: a scheduled task is released within this of its time.
LOOK_SECONDS: Final = 0.25
#: Messages in flight to the broker at once.
MOST_AT_ONCE: Final = 500
#: For how long rows that were taken are nobody else's; well above the time that a publish may take.
TAKEN_FOR: Final = timedelta(seconds=60)
#: When rows whose publish failed are looked at again.
AFTER_FAILURE: Final = timedelta(seconds=1)


class Sweeper(Background):
    """Sweeps the outbox for as long as it runs; several may run at once."""

    NAME: ClassVar = "sweep"

    def __init__(self, records: Records, publisher: Publisher) -> None:
        super().__init__()
        self._records = records
        self._publisher = publisher

    async def sweep(self) -> int:
        """Publishes what is due now.

        Returns:
            How many the broker confirmed.
        """
        now = datetime.now(UTC)
        due = await self._records.read(next_due)
        if due is None or due > now:
            return 0
        taken = await self._records.write(take_due, Sweep(now, now + TAKEN_FOR, MOST_AT_ONCE))
        confirmed, failed = await relay_all(self._publisher, taken)
        if confirmed:
            await self._records.write(forget_swept, (confirmed, datetime.now(UTC)))
            log.info("swept the outbox", published=len(confirmed), failed=len(failed))
        if failed:
            await self._records.write(put_back, (failed, datetime.now(UTC) + AFTER_FAILURE))
        return len(confirmed)

    async def _run_for_ever(self) -> None:
        while True:
            try:
                published = await self.sweep()
            except SQLAlchemyError as error:
                log.warning("the ledger refused the sweep, trying again", error=str(error))
                published = 0
            if published < MOST_AT_ONCE:
                await asyncio.sleep(LOOK_SECONDS)
