"""A process's copy of the registry."""

import asyncio
from functools import partial

from sqlalchemy import Engine

from waybill_contracts.registry import Kind, Registry, UnknownKindError
from waybill_database import Records
from waybill_ledger.registry.stored import load_registry, revision_of_registry


class RegistryCopy:
    """The registry as the ledger had it when it was last read.

        copy = RegistryCopy(records)
        await copy.refresh()
        (await copy.kind("invoice.requested")).services

    A copy may be stale: `docs/decisions/0036-kinds-are-data.md` says why that does no harm.

    Args:
        records: the ledger.
    """

    def __init__(self, records: Records) -> None:
        self.current = Registry()
        self._records = records
        #: The reading that has begun, and the one after it: what was committed before a call is seen by a
        #: reading that begins after the call, but perhaps not by one that is under way.
        self._reading: asyncio.Task[bool] | None = None
        self._next: asyncio.Task[bool] | None = None

    def prepare(self, engine: Engine) -> None:
        """Reads the registry, at the start of a process.

        Raises:
            SQLAlchemyError: the ledger is unavailable.
        """
        with engine.connect() as connection:
            self.current = load_registry(connection)

    async def refresh(self) -> bool:
        """Reads the registry if it has changed, as it is after the call; callers may share a reading.

        Returns:
            Whether it had changed.

        Raises:
            SQLAlchemyError: the ledger is unavailable; the copy stays as it is.
        """
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), name="read the registry")
            return await asyncio.shield(self._reading)
        if self._next is None:
            self._next = asyncio.create_task(self._read_after(self._reading), name="read the registry again")
        return await asyncio.shield(self._next)

    async def kind(self, name: str) -> Kind:
        """The kind of this name; one that is not in the copy may have been registered just now.

        Raises:
            UnknownKindError: there is none.
            SQLAlchemyError: the ledger had to be read, and is unavailable.
        """
        known = self.current.find(name)
        if known is None:
            await self.refresh()
            known = self.current.find(name)
        if known is None:
            raise UnknownKindError(name)
        return known

    async def _read_after(self, earlier: asyncio.Task[bool]) -> bool:
        await asyncio.wait((earlier,))
        self._reading, self._next = self._next, None
        return await self._read()

    async def _read(self) -> bool:
        if await self._records.read(revision_of_registry) == self.current.revision:
            return False
        self.current = await self._records.read(partial(load_registry, earlier=self.current))
        return True
