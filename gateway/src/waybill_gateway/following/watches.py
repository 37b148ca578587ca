"""Those who wait for what happens to tasks, and what wakes them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Request

from waybill_database import Records
from waybill_gateway.following.gathered import Gathered
from waybill_gateway.following.ledger_reader import LedgerReader
from waybill_gateway.http import Problem
from waybill_gateway.settings import GatewaySettings
from waybill_ledger import Task, get_tasks
from waybill_ledger.following import Look

#: Longest wait of one call, in seconds: proxies often cut an answer that takes longer.
MOST_WAIT_SECONDS: Final = 60
#: Seconds after which one who was not admitted may ask again.
_RETRY_SECONDS: Final = 5


class Watch:
    """One who waits for what happens to a task."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        #: Whether the gateway stops, so that it ends.
        self.is_over = False

    def wake(self) -> None:
        """Has it look again."""
        self._woken.set()

    def end(self) -> None:
        """Has it end."""
        self.is_over = True
        self._woken.set()

    def expect(self) -> None:
        """What happens from now on wakes it: before it reads the state of its task."""
        self._woken.clear()
        if self.is_over:
            self._woken.set()

    async def wait(self) -> None:
        """Returns when something has happened since `expect`."""
        await self._woken.wait()


class Watches:
    """Those who wait in this gateway; one reader of the ledger wakes them all.

    Args:
        settings: the ledger, and how many may wait.
        records: the ledger.
        stopping: is set when the gateway is to stop: then all waits end.
    """

    def __init__(self, settings: GatewaySettings, records: Records, stopping: asyncio.Event) -> None:
        self._most = settings.max_watchers
        self._stopping = stopping
        self._reader = LedgerReader(settings.ledger_url, settings.database_answer_seconds, self._on_look)
        self._tasks: Gathered[str, Task] = Gathered(records, get_tasks)
        self._by_task: dict[str, set[Watch]] = defaultdict(set)
        #: How many wait now.
        self.count = 0
        self._ending: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to serve those who wait."""
        self._reader.start()
        self._ending = asyncio.create_task(self._end_when_stopping(), name="end of waits")

    async def wait_failed(self) -> None:
        """Returns only when the reader of the ledger has ended by itself; the log says why."""
        await self._reader.wait_failed()

    async def stop(self) -> None:
        """Ends all waits, and stops to read the ledger."""
        self._end_all()
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.gather(self._ending, return_exceptions=True)
        await self._reader.stop()

    async def until_ended(self, task_id: str, tenant: str | None, seconds: float) -> Task | None:
        """The task, as soon as it has ended; or as it is after `seconds`, or when the gateway stops.

        Args:
            task_id: of the task.
            tenant: that must own it; None: any.
            seconds: to wait at most.

        Returns:
            None: there is no such task.

        Raises:
            Problem: 503, too many wait already.
            SQLAlchemyError: the ledger did not answer.
        """
        task: Task | None = None
        with self._watching(task_id) as watch:
            try:
                async with asyncio.timeout(seconds):
                    await self._reader.ready()
                    while not watch.is_over:
                        watch.expect()
                        task = _owned(await self._tasks.get(task_id), tenant)
                        if task is None or task.state.is_terminal:
                            return task
                        await watch.wait()
            except TimeoutError:
                pass
            return _owned(await self._tasks.get(task_id), tenant)

    @contextmanager
    def _watching(self, task_id: str) -> Iterator[Watch]:
        """A watch of a task for the length of the block.

        Raises:
            Problem: 503, too many wait already.
        """
        if self.count >= self._most:
            raise _too_many()
        watch = Watch()
        if self._stopping.is_set():
            watch.end()
        self.count += 1
        self._reader.enter()
        self._by_task[task_id].add(watch)
        try:
            yield watch
        finally:
            self.count -= 1
            self._reader.leave()
            self._by_task[task_id].discard(watch)
            if not self._by_task[task_id]:
                del self._by_task[task_id]

    def _on_look(self, look: Look) -> None:
        for task_id in look.ended & self._by_task.keys():
            for watch in self._by_task[task_id]:
                watch.wake()

    def _end_all(self) -> None:
        for watches in self._by_task.values():
            for watch in watches:
                watch.end()

    async def _end_when_stopping(self) -> None:
        await self._stopping.wait()
        self._end_all()


def _owned(task: Task | None, tenant: str | None) -> Task | None:
    return task if task is not None and tenant in {None, task.tenant} else None


def _too_many() -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too_many_watchers",
        "Too many callers wait for tasks at this gateway. Ask without wait, or again later.",
        headers={"Retry-After": str(_RETRY_SECONDS)},
    )


async def _current_watches(request: Request) -> Watches:
    watches: Watches = request.app.state.watches
    return watches


#: Those who wait in this gateway, for a route's signature.
WatchesDep = Annotated[Watches, Depends(_current_watches)]
