"""Deletes the rows of the outbox whose messages the broker has confirmed."""

import asyncio
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from waybill_database import Records
from waybill_ledger import delete_published
from waybill_worker.broker import GOODBYE_SECONDS
from waybill_worker.observe import get_logger

log = get_logger(__name__)

#: How long the rows of published tasks gather before they are deleted together, and how long the deletion may
#: then wait to share the commit of an accept. A sweep would take a row only after seconds.
GATHER_SECONDS: Final = 0.25
DELETE_SECONDS: Final = 0.1


class PublishedRows:
    """Gathers rows and deletes them together.

    Args:
        records: the ledger.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._ids: list[int] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._deleting: asyncio.Task[None] | None = None

    def add(self, outbox_id: int) -> None:
        """Deletes a row soon."""
        self._ids.append(outbox_id)
        if self._alarm is None and self._deleting is None:
            self._alarm = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._delete)

    async def settle(self) -> None:
        """Deletes all of them now, if that does not take long."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._delete()
        if (deleting := self._deleting) is not None:
            await asyncio.wait((deleting,), timeout=GOODBYE_SECONDS)
            deleting.cancel()
            await asyncio.gather(deleting, return_exceptions=True)

    def _delete(self) -> None:
        self._alarm = None
        self._deleting = asyncio.create_task(self._delete_all(), name="delete published rows")

    async def _delete_all(self) -> None:
        ids, self._ids = self._ids, []
        try:
            # If this write is lost, the sweep publishes the rows once more, as below.
            await self._records.write(delete_published, ids, patience=DELETE_SECONDS, relaxed=True)
        except SQLAlchemyError as error:
            # The sweep publishes them again, and the inboxes drop the second copies.
            log.warning("published tasks stay in the outbox", tasks=len(ids), error=error)
        finally:
            self._deleting = None
            if self._ids:
                self._alarm = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._delete)
