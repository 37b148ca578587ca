"""Reads that many callers share."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final, Generic, TypeVar

from sqlalchemy import Connection

from waybill_database import Records

Wanted = TypeVar("Wanted")
Found = TypeVar("Found")

#: Things that one query reads at most.
MOST_A_READ: Final = 500


class Gathered(Generic[Wanted, Found]):
    """Reads for all that ask while another read is under way, by one query.

        tasks = Gathered(records, get_tasks)
        task = await tasks.get("0190a1b2-…")

    Args:
        records: the database.
        query: reads what is wanted; what it does not find is None.
    """

    def __init__(
        self, records: Records, query: Callable[[Connection, Collection[Wanted]], Mapping[Wanted, Found]]
    ) -> None:
        self._records = records
        self._query = query
        self._asked: dict[Wanted, list[asyncio.Future[Found | None]]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, wanted: Wanted) -> Found | None:
        """What the database has of it, read after this call; None: nothing.

        Raises:
            SQLAlchemyError: the database did not answer.
        """
        answer: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(wanted, []).append(answer)
        if self._reading is None:
            # It begins after those who are woken together have all asked.
            self._reading = asyncio.create_task(self._read_all(), name="read for many")
        return await answer

    async def _read_all(self) -> None:
        try:
            while self._asked:
                batch = list(self._asked)[:MOST_A_READ]
                asked = {wanted: self._asked.pop(wanted) for wanted in batch}
                await self._read(asked)
        finally:
            self._reading = None

    async def _read(self, asked: Mapping[Wanted, Collection[asyncio.Future[Found | None]]]) -> None:
        try:
            found = await self._records.read(partial(self._found, list(asked)))
        except Exception as error:  # noqa: BLE001 - each caller gets it
            for answer in _waiting(asked.values()):
                answer.set_exception(error)
            return
        for wanted, answers in asked.items():
            for answer in _waiting([answers]):
                answer.set_result(found.get(wanted))

    def _found(self, wanted: Collection[Wanted], connection: Connection) -> Mapping[Wanted, Found]:
        return self._query(connection, wanted)


def _waiting(
    answers: Collection[Collection[asyncio.Future[Found | None]]],
) -> list[asyncio.Future[Found | None]]:
    """Those whose callers have not gone."""
    return [answer for several in answers for answer in several if not answer.done()]
