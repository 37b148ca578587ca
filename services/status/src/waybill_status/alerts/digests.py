"""The digests: ends each window of alerts when it is due."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final

from sqlalchemy import Connection

from waybill_database import Records
from waybill_ledger import Digest, digest_due
from waybill_status.alerts.alerts import Alerts
from waybill_worker.observe import get_logger
from waybill_worker.runtime import PeriodicTask

log = get_logger(__name__)

#: Seconds between checks for the end of the window; windows take minutes.
CHECK_SECONDS: Final = 1.0


class Digests(PeriodicTask):
    """Ends windows for as long as it runs; several may run at once, and one of them ends each."""

    NAME: ClassVar = "digests"

    def __init__(self, records: Records, alerts: Alerts) -> None:
        super().__init__(every_seconds=CHECK_SECONDS)
        self._records = records
        self._alerts = alerts

    async def end_window(self) -> Digest | None:
        """Ends the window if it is due.

        Returns:
            Digest of the mail that is now in the outbox; None if there is none.
        """
        now = self._records.now()
        # Nearly always it is too early, and a read needs no write lock.
        due = await self._records.read(digest_due)
        if due is None or due > now:
            return None
        digest = await self._records.write(self._end, now)
        if digest is not None:
            log.warning("failures reported in a digest", failures=digest.failures, kinds=digest.kinds)
        return digest

    def _end(self, connection: Connection, times: Sequence[datetime]) -> Sequence[Digest | None]:
        return [self._alerts.end_window(connection, now) for now in times]

    async def _run_once(self) -> None:
        await self.end_window()
