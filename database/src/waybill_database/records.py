"""One database as an asyncio program sees it: grouped writes, and reads beside them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, DateTime, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from waybill_database.clock import Clock, elapsed_seconds
from waybill_database.engine import READ_ONLY, open_engine
from waybill_database.group_commit import BatchWrite, GroupCommit
from waybill_database.writable import can_write

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Reads at once where nobody says otherwise; each takes a thread and a connection.
READERS = 4
#: Seconds after which a database that has not said whether it can be written to counts as one that cannot.
LOOK_SECONDS = 3.0
#: Seconds that a statement on PostgreSQL may take where nobody says otherwise.
ANSWER_SECONDS = 20.0
#: A look at the server's clock that takes longer tells too little.
MOST_SECONDS_OF_A_LOOK = 2.0


class Records:
    """A database with one grouped writer and a few readers, each on a connection of its own."""

    def __init__(self, url: str, *, readers: int = READERS, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.engine = open_engine(url, connections=readers + 1, answer_seconds=answer_seconds)
        self._reading = self.engine.execution_options(**{READ_ONLY: True})
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="records-read")
        self._writes = GroupCommit(self.engine)
        self._looking: asyncio.Task[bool] | None = None
        self._closed = False
        self.clock = Clock(is_remote=self.engine.dialect.name == "postgresql")

    def now(self) -> datetime:
        """The time that decisions about what is in the database go by: see `waybill_database.clock`."""
        return self.clock.now()

    async def look_at_clock(self) -> None:
        """Takes notice of the time: PostgreSQL's, or with SQLite that of this machine."""
        if self.engine.dialect.name != "postgresql":
            self.clock.now()
            return
        began = elapsed_seconds()
        shown = await self.read(_clock_of_server)
        took = elapsed_seconds() - began
        # The later it was answered, the less it is known of when. It is taken as of the answer: a clock that
        # is behind makes what is due late by a moment, one that is ahead makes it early.
        if took < MOST_SECONDS_OF_A_LOOK:
            self.clock.tell(shown)

    async def write(
        self,
        write: BatchWrite[Item, Result],
        item: Item,
        *,
        patience: float = 0.0,
        relaxed: bool = False,
    ) -> Result:
        """Writes `item` in a shared transaction; see `GroupCommit.submit`."""
        return await self._writes.submit(write, item, patience=patience, relaxed=relaxed)

    async def write_apart(
        self, write: BatchWrite[Item, Result], item: Item, *, relaxed: bool = False
    ) -> Result:
        """The same in a transaction of its own, on a reader's thread: for what takes long.

        Nothing that is written meanwhile is in the same transaction, and so waits for it. (On SQLite it does
        for its turn.)
        """
        commit = partial(self._writes.commit, write, item, relaxed=relaxed)
        return await asyncio.get_running_loop().run_in_executor(self._readers, commit)

    def write_at_once(self, write: BatchWrite[Item, Result], item: Item) -> Result:
        """Writes `item` in a transaction of its own, on the caller's thread; needs no event loop."""
        return self._writes.commit(write, item)

    async def read(self, query: Callable[[Connection], Result]) -> Result:
        """Runs `query` in a transaction of its own on a reader's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._query, query)

    async def is_writable(self) -> bool:
        """Whether it could be written to just now, as far as one question without a write can tell.

        Whoever asks while that is under way shares the answer. None within `LOOK_SECONDS` is one, too.
        """
        if self._closed:
            return False
        looking = self._looking
        if looking is None or looking.done():
            looking = self._looking = asyncio.create_task(self._look(), name="look at the database")
        done, _ = await asyncio.wait((looking,), timeout=LOOK_SECONDS)
        return bool(done) and looking.result()

    async def prepare(self, work: Callable[[Engine], Result]) -> Result:
        """Runs `work` on a reader's thread: what is done with the whole database at a process's start."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, self.engine)

    async def close(self) -> None:
        """Commits what waits and closes every connection."""
        self._closed = True
        await self._writes.close()
        if self._looking is not None:
            await asyncio.wait((self._looking,))
        self._readers.shutdown()
        self.engine.dispose()

    def _query(self, query: Callable[[Connection], Result]) -> Result:
        with self._reading.begin() as connection:
            return query(connection)

    async def _look(self) -> bool:
        try:
            writable = await self.read(can_write)
        except SQLAlchemyError:
            return False
        if not writable:
            # Those that are idle lead to where nobody can write: the next ones may lead elsewhere.
            self.engine.dispose()
        return writable


def _clock_of_server(connection: Connection) -> datetime:
    shown: datetime = connection.execute(
        select(func.clock_timestamp(type_=DateTime(timezone=True)))
    ).scalar_one()
    return shown
