"""Group commit: many small writes, few transactions.

A commit costs a flush to the disk and about a millisecond of computing, whoever shares it. Writes that arrive
while one commit is under way wait for the next and go into it together, sharing the cost under load.
A write that nobody waits for may have patience: it lets the others go first, and goes along with the next.
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

Item = TypeVar("Item")
Result = TypeVar("Result")
#: Writes many items of one sort in the transaction it is given; answers one result for each, in order.
BatchWrite = Callable[[Connection, Sequence[Item]], Sequence[Result]]

#: Writes in one transaction; more would only make the first of them wait longer.
MAX_BATCH = 500

#: So many writes in one transaction show that others are about to come: the next one waits a little for them,
#: which costs each some milliseconds and spares most of the commits.
CROWD = 16
GATHER_SECONDS = 0.004

#: Tries of a transaction that PostgreSQL ends in favour of another's; as it ends one of two, the next mostly
#: goes through.
MOST_TRIES = 5


@dataclass(slots=True)
class _Waiting:
    write: BatchWrite[Any, Any]
    item: Any
    done: asyncio.Future[Any]
    relaxed: bool


class GroupCommit:
    """Commits what is submitted, on one thread of its own, in the order of arrival within each sort."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._relaxed = engine.execution_options(**{RELAXED: True})
        self._turn = write_turn(engine)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="group-commit")
        self._waiting: list[_Waiting] = []
        self._committing: asyncio.Task[None] | None = None
        self._closed = False
        #: When the next commit begins at the latest, by the loop's clock.
        self._due = inf
        self._hurried = asyncio.Event()

    async def submit(
        self,
        write: BatchWrite[Item, Result],
        item: Item,
        *,
        patience: float = 0.0,
        relaxed: bool = False,
    ) -> Result:
        """Has `write` called with `item` among others, and returns its result once that is committed.

        Args:
            write: writes many such items.
            item: what is written.
            patience: seconds that it may wait for a write that is in a hurry, to share its commit.
            relaxed: it outlives this process, but may be lost if the machine goes down within the moment and
                takes this process along: for what is only done again then. A commit of nothing else needs no
                flush to the disk. Means nothing to PostgreSQL, which may go down while this process goes on.

        Raises:
            Exception: what `write` or the database raised; nothing of the item is stored then.
            RuntimeError: this is closed.
        """
        if self._closed:
            raise RuntimeError("the group commit is closed: nothing more can be written")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()
        self._waiting.append(_Waiting(write, item, done, relaxed))
        self._hurry(loop.time() + patience)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        return await done

    def commit(self, write: BatchWrite[Item, Result], item: Item, *, relaxed: bool = False) -> Result:
        """The same in a transaction of its own, on the caller's thread.

        Raises:
            Exception: what `write` or the database raised; nothing of the item is stored then.
        """
        engine = self._relaxed if relaxed else self._engine

        def transact() -> Result:
            with self._turn(), engine.begin() as connection:
                (result,) = write(connection, [item])
            return result

        return _though_others_are_in_the_way(transact)

    async def close(self) -> None:
        """Commits what still waits, then ends the thread."""
        self._closed = True
        self._hurry(0.0)
        if self._committing is not None:
            # Whoever gives up waiting for this must not take the writes along.
            await asyncio.shield(self._committing)
        self._thread.shutdown()

    async def _commit_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                await self._until_due()
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                # What is left over has waited already.
                self._due = 0.0 if self._waiting or self._closed else inf
                results = await loop.run_in_executor(self._thread, self._commit, batch)
                for waiting, (result, error) in zip(batch, results, strict=True):
                    if waiting.done.cancelled():
                        continue  # the caller is gone; what it submitted is committed all the same
                    if error is None:
                        waiting.done.set_result(result)
                    else:
                        waiting.done.set_exception(error)
                if CROWD <= len(batch) < MAX_BATCH and not self._closed:
                    await asyncio.sleep(GATHER_SECONDS)
        finally:
            self._committing = None

    def _hurry(self, due: float) -> None:
        """Has the next commit begin at `due`, unless it begins earlier anyway."""
        if due < self._due:
            self._due = due
            self._hurried.set()

    async def _until_due(self) -> None:
        loop = asyncio.get_running_loop()
        while (wait := self._due - loop.time()) > 0:
            self._hurried.clear()
            alarm = loop.call_later(wait, self._hurried.set)
            await self._hurried.wait()
            alarm.cancel()

    def _commit(self, batch: Sequence[_Waiting]) -> list[tuple[Any, Exception | None]]:
        try:
            results = _though_others_are_in_the_way(lambda: self._transact(batch))
            return [(result, None) for result in results]
        except Exception as error:  # noqa: BLE001 - each waiting caller gets it, none is swallowed
            if len(batch) == 1 or is_unavailable(error):
                return [(None, error)] * len(batch)
        # One bad item must not fail its neighbours: each tries again alone.
        return [outcome for waiting in batch for outcome in self._commit([waiting])]

    def _transact(self, batch: Sequence[_Waiting]) -> list[Any]:
        results: list[Any] = [None] * len(batch)
        by_write: dict[BatchWrite[Any, Any], list[int]] = {}
        for position, waiting in enumerate(batch):
            by_write.setdefault(waiting.write, []).append(position)
        engine = self._relaxed if all(waiting.relaxed for waiting in batch) else self._engine
        with self._turn(), engine.begin() as connection:
            for write, positions in by_write.items():
                answers = write(connection, [batch[position].item for position in positions])
                for position, answer in zip(positions, answers, strict=True):
                    results[position] = answer
        return results


def _though_others_are_in_the_way(transact: Callable[[], Result]) -> Result:
    for left in reversed(range(MOST_TRIES)):
        try:
            return transact()
        except DBAPIError as error:
            if not left or not is_conflict(error):
                raise
    raise AssertionError("the last try answers or raises")
