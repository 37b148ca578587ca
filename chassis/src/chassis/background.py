"""What a process does beside consuming or serving, for as long as it runs."""

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar

from chassis.logs import get_logger

log = get_logger(__name__)


class Background(ABC):
    """Work in a loop of its own."""

    #: What it does, for the log.
    NAME: ClassVar[str]

    def __init__(self) -> None:
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins."""
        self._running = asyncio.create_task(self._run_for_ever(), name=self.NAME)

    async def broken(self) -> None:
        """Returns only when it has ended by itself, which is a defect; the log says why."""
        if self._running is None:
            raise RuntimeError(f"the {self.NAME} was not started")
        await asyncio.wait((self._running,))
        if not self._running.cancelled():
            log.error("ended, though it should not", what=self.NAME, exc_info=self._running.exception())

    async def stop(self) -> None:
        """Ends; whatever was just begun is left for the next time."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    @abstractmethod
    async def _run_for_ever(self) -> None:
        """The loop."""
