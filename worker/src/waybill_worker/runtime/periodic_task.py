"""Periodic tasks of a process, beside consuming or serving."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, ClassVar, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from waybill_worker.observe import get_logger
from waybill_worker.runtime.components import Component

log = get_logger(__name__)

Result = TypeVar("Result")


async def first_completed(*endings: Coroutine[Any, Any, object]) -> None:
    """Returns when the first of these has returned, and cancels the others; raises what it raised.

    For a process that is broken as soon as one of its parts has ended.
    """
    tasks = [asyncio.create_task(ending) for ending in endings]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def stop_all(*works: "PeriodicTask", timeout_seconds: float) -> None:
    """Stops all of these at once; work that does not end in time is cut off, as if the process had died."""
    stopping = {asyncio.create_task(work.stop()): work.NAME for work in works}
    if not stopping:
        return
    ended, late = await asyncio.wait(stopping, timeout=timeout_seconds)
    for task in late:
        log.warning("did not end in the grace time", what=stopping[task])
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    for task in ended:
        task.result()


class PeriodicTask(ABC):
    """Periodic work in a loop of its own.

    Args:
        every_seconds: the wait between two turns, unless a turn returns another one.
        waits_first: whether it waits before the first turn, too.
    """

    #: Name of the work, for the log.
    NAME: ClassVar[str]
    #: Errors of a turn that are logged, after which the next turn tries again. Any other is a defect.
    TRANSIENT_ERRORS: ClassVar[tuple[type[Exception], ...]] = (SQLAlchemyError,)

    def __init__(self, *, every_seconds: float, waits_first: bool = False) -> None:
        self._every_seconds = every_seconds
        self._waits_first = waits_first
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins the loop."""
        self._running = asyncio.create_task(self._run_for_ever(), name=self.NAME)

    async def wait_failed(self) -> None:
        """Returns only when the loop has ended by itself, which is a defect; the reason is logged."""
        if self._running is None:
            raise RuntimeError(f"the {self.NAME} was not started")
        await asyncio.wait((self._running,))
        if not self._running.cancelled():
            log.error("ended, though it should not", what=self.NAME, exc_info=self._running.exception())

    async def whole(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Awaits `work`, and lets it end even if `stop` is called meanwhile.

        For work on which others would wait if it were interrupted: rows that are taken, but not published.
        """
        doing = asyncio.create_task(work)
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            # A failure now is as if the process had died.
            await asyncio.gather(doing, return_exceptions=True)
            raise

    async def stop(self) -> None:
        """Ends the loop, at the latest when the work under `whole` has ended."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run_for_ever(self) -> None:
        if self._waits_first:
            await asyncio.sleep(self._every_seconds)
        while True:
            wait = None
            try:
                wait = await self._run_once()
            except self.TRANSIENT_ERRORS as error:
                log.warning(
                    "failed for now, trying again", what=self.NAME, error=error, once_a_minute=self.NAME
                )
            await asyncio.sleep(self._every_seconds if wait is None else wait)

    @abstractmethod
    async def _run_once(self) -> float | None:
        """One turn.

        Returns:
            Seconds until the next turn; None: `every_seconds`.
        """


class PeriodicTasks(Component):
    """Periodic tasks, as a component.

    Args:
        works: the tasks.
        grace_seconds: how long a stop waits for their current turns.
    """

    def __init__(self, *works: PeriodicTask, grace_seconds: float) -> None:
        self._works = works
        self._grace_seconds = grace_seconds

    async def start(self) -> None:
        """Start all of it."""
        for work in self._works:
            work.start()

    async def wait_failed(self) -> None:
        """Return when one of the works has ended by itself."""
        if not self._works:
            await super().wait_failed()
        await first_completed(*(work.wait_failed() for work in self._works))

    async def stop(self) -> None:
        """Stop all of it at once."""
        await stop_all(*self._works, timeout_seconds=self._grace_seconds)
