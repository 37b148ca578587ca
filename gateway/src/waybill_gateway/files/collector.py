"""The removal of files that no task refers to any more."""

import asyncio
from datetime import datetime
from typing import ClassVar, Final

from sqlalchemy.exc import SQLAlchemyError

from waybill_contracts.files import is_of_results
from waybill_database import Records
from waybill_gateway.files.storing import UNTOUCHED_FOR
from waybill_ledger import (
    Mark,
    Removal,
    Renewal,
    delete_removed,
    mark_unused,
    renew_marks,
)
from waybill_worker.object_store import ObjectStore
from waybill_worker.observe import get_logger
from waybill_worker.runtime import PeriodicTask, throttled
from waybill_worker.storage import StoreUnavailable

log = get_logger(__name__)

#: Files that are marked in one transaction, and removed before the next.
STEP: Final = 20
#: Seconds between two runs.
CHECK_SECONDS: Final = 600.0


class Collector(PeriodicTask):
    """Removes files that no task refers to; several may run."""

    NAME: ClassVar = "collector"
    TRANSIENT_ERRORS: ClassVar = (SQLAlchemyError, StoreUnavailable)

    def __init__(self, records: Records, objects: ObjectStore) -> None:
        super().__init__(every_seconds=CHECK_SECONDS, waits_first=True)
        self._records = records
        self._objects = objects

    async def collect(self, untouched_since: datetime) -> int:
        """Removes files that were not used or touched since then; returns their number."""
        removed = 0
        # Each step is completed even if the process stops: uploads of marked files would be refused.
        while went := await throttled(self.whole(self._step(untouched_since))):
            removed += sum(went)
        if removed:
            log.info("removed files that no task refers to", files=removed)
        return removed

    async def _step(self, untouched_since: datetime) -> list[bool]:
        removal = Removal(untouched_since, self._records.now(), STEP)
        marks = await self._records.write(mark_unused, removal)
        # Concurrently, so that they share transactions, and one that fails does not stop the others.
        went = await asyncio.gather(*map(self._remove, marks), return_exceptions=True)
        for each in went:
            if isinstance(each, BaseException):
                raise each
        return [each is True for each in went]

    async def _remove(self, mark: Mark) -> bool:
        """Whether this collector removed it."""
        if not await self._records.write(renew_marks, Renewal(mark, self._records.now())):
            log.warning("another collector has taken over a file", key=mark.key)
            return False
        # The files of a task belong to it alone, and have one row.
        await (self._objects.delete_under if is_of_results(mark.key) else self._objects.delete)(mark.key)
        if not await self._records.write(delete_removed, mark):
            # It is unknown whether it was uploaded again before or after this deletion.
            log.error("a file was removed so slowly that it may have been uploaded again", key=mark.key)
            return False
        return True

    async def _run_once(self) -> None:
        await self.collect(self._records.now() - UNTOUCHED_FOR)
