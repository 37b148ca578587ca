"""Group commit: many small writes, few transactions.

A commit costs a flush to the disk and about a millisecond of computing, however many writes it has. Writes
that arrive during a commit share the next one, and so its cost under load. A write that no caller waits for
may have patience: it waits for an urgent write, and shares its commit.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from waybill_database.engine import RELAXED
from waybill_database.faults import is_conflict, is_unavailable
from waybill_database.write_turn import write_turn
from waybill_database.writer import Writer

Item = TypeVar("Item")
Result = TypeVar("Result")
#: Writes many items of one type in the given transaction; returns one result for each, in order.
BatchWrite = Callable[[Connection, Sequence[Item]], Sequence[Result]]

#: Most writes in one transaction; more would only delay the first ones.
MAX_BATCH = 500

#: After a transaction with so many writes more are expected: the next commit waits for them, which costs each
#: write some milliseconds and saves most commits.
CROWD = 16
GATHER_SECONDS = 0.004

#: Tries of a transaction that PostgreSQL rolls back in favour of another one; the next try mostly succeeds.
MOST_TRIES = 5


@dataclass(slots=True)
class _Waiting:
    write: BatchWrite[Any, Any]
    item: Any
    done: asyncio.Future[Any]
    relaxed: bool


class GroupCommit:
    """Commits submitted writes, on one thread of its own, in the order of arrival within each type."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._relaxed = engine.execution_options(**{RELAXED: True})
        self._turn = write_turn(engine)
        self._writer = Writer(engine)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="group-commit")
        self._waiting: list[_Waiting] = []
        self._is_committing = False
        self._closed = False
        #: By the clock of the loop: when the next commit begins at the latest, and at the earliest.
        self._due, self._earliest = inf, 0.0
        self._alarm: asyncio.Handle | None = None
        #: Set once nothing waits any more; None: nobody has asked for it.
        self._emptied: asyncio.Future[None] | None = None

    async def submit(
        self,
        write: BatchWrite[Item, Result],
        item: Item,
        *,
        patience: float = 0.0,
        relaxed: bool = False,
    ) -> Result:
        """Writes `item` together with others, and returns its result after the commit.

        Args:
            write: writes many such items.
            item: to write.
            patience: seconds that it may wait for an urgent write, to share its commit.
            relaxed: the write survives this process, but may be lost if the machine fails within a moment:
                for writes that are repeated then. A commit of only such writes needs no flush to the disk.
                Ignored on PostgreSQL, which may fail without this process.

        Raises:
            Exception: raised by `write` or the database; nothing of the item is stored.
            RuntimeError: the group commit is closed.
        """
        if self._closed:
            raise RuntimeError("the group commit is closed: nothing more can be written")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()
        self._waiting.append(_Waiting(write, item, done, relaxed))
        self._hurry(loop.time() + patience if patience else 0.0)
        return await done

    def commit(self, write: BatchWrite[Item, Result], item: Item, *, relaxed: bool = False) -> Result:
        """Writes `item` in a transaction of its own, on the thread of the caller.

        Raises:
            Exception: raised by `write` or the database; nothing of the item is stored.
        """
        engine = self._relaxed if relaxed else self._engine

        def transact() -> Result:
            with self._turn(), engine.begin() as connection:
                (result,) = write(connection, [item])
            return result

        return _retry_on_conflict(transact)

    async def close(self) -> None:
        """Commits waiting writes, then ends the thread and returns its connection."""
        self._closed = True
        if self._waiting or self._is_committing:
            self._earliest = 0.0
            self._hurry(0.0)
            if self._emptied is None:
                self._emptied = asyncio.get_running_loop().create_future()
            # Of two callers one may be cancelled here.
            await asyncio.shield(self._emptied)
        self._thread.shutdown()
        self._writer.release()

    async def look(self, query: Callable[[Connection], Result]) -> Result:
        """Runs `query` on the connection that the next writes will use."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._look, query)

    def doubt(self) -> None:
        """Has the next transaction take another connection."""
        self._writer.doubt()

    def _hurry(self, due: float) -> None:
        """Lets the next commit begin at `due` at the latest."""
        if due < self._due:
            self._due = due
            if not self._is_committing:
                self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        loop = asyncio.get_running_loop()
        due = max(self._due, self._earliest)
        # Later in this turn at the soonest, so that all writes of one turn share a commit.
        self._alarm = loop.call_soon(self._begin) if due <= loop.time() else loop.call_at(due, self._begin)

    def _begin(self) -> None:
        self._alarm, self._is_committing = None, True
        batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        # The remaining writes have waited already.
        self._due = 0.0 if self._waiting else inf
        self._thread.submit(self._commit_and_tell, batch, asyncio.get_running_loop())

    def _commit_and_tell(self, batch: Sequence[_Waiting], loop: asyncio.AbstractEventLoop) -> None:
        outcomes = self._commit(batch)
        loop.call_soon_threadsafe(self._committed, batch, outcomes)

    def _committed(self, batch: Sequence[_Waiting], outcomes: Sequence[tuple[Any, Exception | None]]) -> None:
        self._is_committing = False
        for waiting, (result, error) in zip(batch, outcomes, strict=True):
            if waiting.done.cancelled():
                continue  # the caller is gone; its write is committed
            if error is None:
                waiting.done.set_result(result)
            else:
                waiting.done.set_exception(error)
        if CROWD <= len(batch) < MAX_BATCH and not self._closed:
            self._earliest = asyncio.get_running_loop().time() + GATHER_SECONDS
        if self._waiting:
            self._set_alarm()
        elif self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    def _look(self, query: Callable[[Connection], Result]) -> Result:
        with self._writer.transaction(relaxed=True) as connection:
            return query(connection)

    def _commit(self, batch: Sequence[_Waiting]) -> list[tuple[Any, Exception | None]]:
        try:
            results = _retry_on_conflict(lambda: self._transact(batch))
            return [(result, None) for result in results]
        except Exception as error:  # noqa: BLE001 - every waiting caller gets it
            if len(batch) == 1 or is_unavailable(error):
                return [(None, error)] * len(batch)
        # One bad item must not fail the others: each is tried again alone.
        return [outcome for waiting in batch for outcome in self._commit([waiting])]

    def _transact(self, batch: Sequence[_Waiting]) -> list[Any]:
        results: list[Any] = [None] * len(batch)
        by_write: dict[BatchWrite[Any, Any], list[int]] = {}
        for position, waiting in enumerate(batch):
            by_write.setdefault(waiting.write, []).append(position)
        relaxed = all(waiting.relaxed for waiting in batch)
        with self._writer.transaction(relaxed=relaxed) as connection:
            for write, positions in by_write.items():
                answers = write(connection, [batch[position].item for position in positions])
                for position, answer in zip(positions, answers, strict=True):
                    results[position] = answer
        return results


def _retry_on_conflict(transact: Callable[[], Result]) -> Result:
    for left in reversed(range(MOST_TRIES)):
        try:
            return transact()
        except DBAPIError as error:
            if not left or not is_conflict(error):
                raise
    raise AssertionError("the last try answers or raises")
