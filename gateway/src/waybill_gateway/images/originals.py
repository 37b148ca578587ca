"""Uploaded files: kept while a task refers to them, removed when none has for a while."""

import asyncio
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import ClassVar, Final

from sqlalchemy.exc import SQLAlchemyError

from waybill_contracts.images.variants import variants_of
from waybill_database import Records
from waybill_gateway.http.problems import Problem
from waybill_ledger import (
    Mark,
    Removal,
    Renewal,
    Touch,
    delete_removed,
    mark_unused,
    renew_marks,
    touch_originals,
)
from waybill_worker.observe.logs import get_logger
from waybill_worker.runtime.background import Background
from waybill_worker.runtime.throttle import throttled
from waybill_worker.storage.object_store import ObjectStore, StoreUnavailable

log = get_logger(__name__)

#: A file that no task refers to stays for so long: an upload of the same is spared its transfer, and one that
#: is on its way to its task has all the time that it needs.
UNTOUCHED_FOR: Final = timedelta(days=1)
#: Files that are marked in one transaction, and removed before the next.
STEP: Final = 20
#: Seconds between looks.
LOOK_SECONDS: Final = 600.0
#: A file that is being removed is gone in a moment: so often, and so many seconds apart, an upload asks.
TRIES, PAUSE_SECONDS = 40, 0.05


async def keep_original(records: Records, key: str) -> None:
    """Makes sure that the file is not removed before its task is accepted, be it there already or not.

    Raises:
        Problem: 503, it is being removed just now, and whoever does so does not come to an end.
    """
    for _ in range(TRIES):
        if await records.write(touch_originals, Touch(key, records.now())):
            return
        await asyncio.sleep(PAUSE_SECONDS)
    raise Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "original_being_removed",
        "An older copy of this very file is being removed. Upload it again in a moment.",
        headers={"Retry-After": "10"},
    )


class Collector(Background):
    """Removes originals that no task refers to, with their variants; several may run."""

    NAME: ClassVar = "collector"
    TRANSIENT_ERRORS: ClassVar = (SQLAlchemyError, StoreUnavailable)

    def __init__(self, records: Records, objects: ObjectStore) -> None:
        super().__init__(every_seconds=LOOK_SECONDS, waits_first=True)
        self._records = records
        self._objects = objects

    async def collect(self, untouched_since: datetime) -> int:
        """Removes what nobody has used or touched since then; the number of originals that went."""
        removed = 0
        # As a whole, also when the process stops: uploads of what is marked and not removed are refused.
        while went := await throttled(self.whole(self._step(untouched_since))):
            removed += sum(went)
        if removed:
            log.info("removed files that no task refers to", originals=removed)
        return removed

    async def _step(self, untouched_since: datetime) -> list[bool]:
        removal = Removal(untouched_since, self._records.now(), STEP)
        marks = await self._records.write(mark_unused, removal)
        # At once, so that they share transactions, and one that fails keeps no other from its end.
        went = await asyncio.gather(*map(self._remove, marks), return_exceptions=True)
        for each in went:
            if isinstance(each, BaseException):
                raise each
        return [each is True for each in went]

    async def _remove(self, mark: Mark) -> bool:
        """Whether it has gone, by this collector's hand."""
        # Its variants first: without the row nobody would know of them.
        await self._objects.delete_under(variants_of(mark.key.rpartition("/")[2]))
        if not await self._records.write(renew_marks, Renewal(mark, self._records.now())):
            log.warning("another collector has taken a file over, leaving it alone", key=mark.key)
            return False
        await self._objects.delete(mark.key)
        if not await self._records.write(delete_removed, mark):
            # Whether it was uploaded anew before or after this deletion is not known.
            log.error("a file was removed so slowly that it may have been uploaded anew", key=mark.key)
            return False
        return True

    async def _run_once(self) -> None:
        await self.collect(self._records.now() - UNTOUCHED_FOR)
