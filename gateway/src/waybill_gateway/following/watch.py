"""One who watches tasks."""

import asyncio
from enum import StrEnum

from waybill_gateway.auth import Caller


class Sort(StrEnum):
    """What is watched, as metrics name it."""

    #: The end of a task.
    END = "end"
    #: The events of a task.
    TASK = "task"
    #: A task, by a link to it.
    LINK = "link"
    #: The events of all tasks that the caller may see.
    ALL = "all"


class Over(StrEnum):
    """Why a watch is over, though nothing has ended."""

    STOPPING = "the gateway stops"
    KEY = "the key was revoked, or has expired"
    LINK = "the link has expired"


class Watch:
    """One who watches a task, or all tasks.

    What happens between `expect` and `wait` is not missed: `expect` comes first, then the look at what is
    there, then `wait`.

    Args:
        sort: what it watches.
        caller: whose key must stay valid meanwhile.
        task_id: the task; None: all.
    """

    def __init__(self, sort: Sort, caller: Caller, task_id: str | None = None) -> None:
        self.sort, self.caller, self.task_id = sort, caller, task_id
        self.over: Over | None = None
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Has it look again."""
        self._woken.set()

    def end(self, why: Over) -> None:
        """Has it end."""
        self.over = self.over or why
        self._woken.set()

    def expect(self) -> None:
        """Lets only what happens from now on end the next `wait`."""
        if self.over is None:
            self._woken.clear()

    async def wait(self, seconds: float | None = None) -> bool:
        """Waits until something has happened since `expect`.

        Args:
            seconds: to wait at most; None: no limit.

        Returns:
            Whether something has happened.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        return True
