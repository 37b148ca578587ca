"""The outbox relay: publishes what is left in the outbox, and scheduled tasks when they are due."""

from typing import ClassVar, Final

from waybill_database import Records
from waybill_ledger import Sweep, take_due
from waybill_status.outbox.publication import TAKEN_FOR, publish_taken
from waybill_status.outlooks import Outlooks
from waybill_worker.observe import get_logger
from waybill_worker.publish import Publisher
from waybill_worker.runtime import PeriodicTask

log = get_logger(__name__)

#: Seconds between sweeps: a scheduled task is released within this time.
CHECK_SECONDS: Final = 0.25
#: Most rows of one sweep: tasks that are due together are released together.
MOST_TAKEN: Final = 2000


class OutboxRelay(PeriodicTask):
    """Sweeps the outbox for as long as it runs; several may run at once."""

    NAME: ClassVar = "sweep"

    def __init__(self, records: Records, publisher: Publisher, outlooks: Outlooks) -> None:
        super().__init__(every_seconds=CHECK_SECONDS)
        self._records = records
        self._publisher = publisher
        self._outlooks = outlooks

    async def sweep(self) -> int:
        """Publishes due rows.

        Returns:
            Number of rows that the broker confirmed.
        """
        now = self._records.now()
        due = (await self._outlooks.current()).outbox_at
        if due is None or due > now:
            return 0
        taken = await self._records.write(take_due, Sweep(now, now + TAKEN_FOR, MOST_TAKEN))
        return await publish_taken(self._records, self._publisher, taken)

    async def _run_once(self) -> float | None:
        return None if await self.whole(self.sweep()) < MOST_TAKEN else 0
