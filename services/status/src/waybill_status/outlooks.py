"""The outlook that all periodic work of the process shares: one look at the ledger instead of one each."""

import asyncio
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Final

from waybill_database import Records
from waybill_ledger import Outlook, outlook
from waybill_ledger.registry import RegistryCopy

#: How old an outlook may be, in seconds: what becomes due is seen so much later. A periodic task that sees
#: what its own turn has changed as it was before looks once more.
FRESH_SECONDS: Final = 0.2


class Outlooks:
    """The outlook of a ledger, read when somebody asks and the last one is old.

    Args:
        records: the ledger.
        clock: returns seconds.
    """

    def __init__(self, records: Records, clock: Callable[[], float] = monotonic) -> None:
        self._records = records
        self._clock = clock
        self._reading: asyncio.Task[Outlook] | None = None
        self._read_at = -inf

    async def current(self) -> Outlook:
        """The outlook, at most `FRESH_SECONDS` old.

        Raises:
            SQLAlchemyError: the ledger is unavailable.
        """
        if self._reading is None or self._clock() - self._read_at >= FRESH_SECONDS:
            self._read_at = self._clock()
            self._reading = asyncio.create_task(self._read(), name="read the outlook")
        # One who is stopped meanwhile must not stop it for the others.
        return await asyncio.shield(self._reading)

    def expire(self) -> None:
        """Has the next caller read it anew: there is something to be done that was not before."""
        self._read_at = -inf

    async def refresh(self, kinds: RegistryCopy) -> None:
        """Reads the registry if it has changed."""
        if (await self.current()).revision != kinds.current.revision:
            await kinds.refresh()

    async def _read(self) -> Outlook:
        try:
            return await self._records.read(outlook)
        except BaseException:
            self.expire()
            raise
