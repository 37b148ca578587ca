"""One database for an asyncio program: grouped writes, and concurrent reads."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, DateTime, Engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from waybill_database.clock import Clock, elapsed_seconds
from waybill_database.engine import READ_ONLY, open_engine
from waybill_database.group_commit import BatchWrite, GroupCommit

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Default number of concurrent reads; each takes a thread and a connection.
READERS = 4
#: Seconds after which a database that has not answered counts as not writable.
PROBE_SECONDS = 3.0
#: Default seconds that a statement on PostgreSQL may take.
ANSWER_SECONDS = 20.0
#: A reading of the clock of the server that takes longer is too inexact.
MOST_SECONDS_OF_A_READING = 2.0


class Records:
    """A database with one grouped writer and a few readers, each on a connection of its own."""

    def __init__(self, url: str, *, readers: int = READERS, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.engine = open_engine(url, connections=readers + 1, answer_seconds=answer_seconds)
        self._reading = self.engine.execution_options(**{READ_ONLY: True})
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="records-read")
        self._writes = GroupCommit(self.engine)
        self._probing: asyncio.Task[bool] | None = None
        self._closed = False
        self.clock = Clock(is_remote=self.engine.dialect.name == "postgresql")

    def now(self) -> datetime:
        """The time for decisions about the database: see `waybill_database.clock`."""
        return self.clock.now()

    async def sync_clock(self) -> None:
        """Reads the clock: that of PostgreSQL, or with SQLite that of this machine."""
        if self.engine.dialect.name != "postgresql":
            self.clock.now()
            return
        began = elapsed_seconds()
        shown = await self.read(_clock_of_server)
        took = elapsed_seconds() - began
        # The slower the answer, the less exact the reading. It counts from the answer: a clock that is behind
        # makes due things late by a moment, a clock that is ahead would make them early.
        if took < MOST_SECONDS_OF_A_READING:
            self.clock.observe(shown)

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
        """Writes `item` in a transaction of its own, on the thread of a reader: for long writes.

        Other writes do not share the transaction, and do not wait for it. (On SQLite they wait for their
        turn.)
        """
        commit = partial(self._writes.commit, write, item, relaxed=relaxed)
        return await asyncio.get_running_loop().run_in_executor(self._readers, commit)

    def write_at_once(self, write: BatchWrite[Item, Result], item: Item) -> Result:
        """Writes `item` in a transaction of its own, on the thread of the caller; needs no event loop."""
        return self._writes.commit(write, item)

    async def read(self, query: Callable[[Connection], Result]) -> Result:
        """Runs `query` in a transaction of its own, on the thread of a reader."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._query, query)

    async def is_writable(self) -> bool:
        """Whether a write would succeed now, as far as a probe without a write shows.

        Concurrent callers share one probe. No answer within `PROBE_SECONDS` counts as False.
        """
        if self._closed:
            return False
        probing = self._probing
        if probing is None or probing.done():
            probing = self._probing = asyncio.create_task(self._probe(), name="probe the database")
        done, _ = await asyncio.wait((probing,), timeout=PROBE_SECONDS)
        return bool(done) and probing.result()

    async def prepare(self, work: Callable[[Engine], Result]) -> Result:
        """Runs `work` with the engine, on the thread of a reader: for the start of a process."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, self.engine)

    async def close(self) -> None:
        """Commits waiting writes and closes every connection."""
        self._closed = True
        if self._probing is not None:
            await asyncio.wait((self._probing,))
        await self._writes.close()
        self._readers.shutdown()
        self.engine.dispose()

    def _query(self, query: Callable[[Connection], Result]) -> Result:
        with self._reading.begin() as connection:
            return query(connection)

    async def _probe(self) -> bool:
        try:
            # A server is asked on the connection of the writes: others may lead to another server.
            is_remote = self.engine.dialect.name == "postgresql"
            writable = await (self._writes.look(_can_write) if is_remote else self.read(_can_write))
        except SQLAlchemyError:
            return False
        if not writable:
            # Idle connections lead to a read-only server: new ones may lead to another one.
            self.engine.dispose()
            self._writes.doubt()
        return writable


def _clock_of_server(connection: Connection) -> datetime:
    shown: datetime = connection.execute(
        select(func.clock_timestamp(type_=DateTime(timezone=True)))
    ).scalar_one()
    return shown


def _can_write(connection: Connection) -> bool:
    """Whether a write could succeed now.

    PostgreSQL reports a standby and `default_transaction_read_only`. For SQLite the file system shows whether
    the file and its folder, which holds the log, are writable, and whether there is free space.
    """
    if connection.dialect.name == "postgresql":
        return bool(connection.scalar(text("SHOW transaction_read_only")) == "off")
    # Reads the file, unlike SELECT 1.
    connection.execute(text("PRAGMA schema_version"))
    file = Path(connection.engine.url.database or "")
    return (
        os.access(file, os.W_OK) and os.access(file.parent, os.W_OK) and os.statvfs(file.parent).f_bavail > 0
    )
