"""The handlers that run just now, and how one of them is stopped or let finish."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from chassis.errors import TransientError

Result = TypeVar("Result")

_CUT_OFF = "The work was cut off from within, by a library that cancels what waits for a lost connection."


class CalledOffError(Exception):
    """The handler was stopped because its task was called off."""


class RunningHandlers:
    """Handlers by the task that they work for."""

    def __init__(self) -> None:
        self._running: dict[str, set[asyncio.Task[Any]]] = defaultdict(set)
        self._stopped: set[asyncio.Task[Any]] = set()

    async def run(self, task_id: str, handler: Coroutine[Any, Any, Result]) -> Result:
        """Runs a handler to its end.

        Raises:
            CalledOffError: `stop` was called for its task, and it stopped.
            TransientError: it was cancelled by something else, such as a library that lost its connection.
            Exception: whatever the handler raises.
        """
        running = asyncio.create_task(handler)
        self._running[task_id].add(running)
        try:
            return await running
        except asyncio.CancelledError:
            ours = asyncio.current_task()
            if not running.cancelled() or (ours is not None and ours.cancelling()):
                raise  # it is the process that stops
            if running in self._stopped:
                raise CalledOffError from None
            raise TransientError(_CUT_OFF) from None
        finally:
            self._stopped.discard(running)
            self._running[task_id].discard(running)
            if not self._running[task_id]:
                del self._running[task_id]

    def stop(self, task_id: str) -> int:
        """Asks the handlers of a task to stop at their next await, unless they are past the point of return.

        Returns:
            How many were asked.
        """
        asked = self._running.get(task_id, set())
        for running in asked:
            self._stopped.add(running)
            running.cancel()
        return len(asked)


async def irrevocably(effect: Awaitable[Result]) -> Result:
    """Sees an effect through once it has begun: a handler that is told to stop meanwhile finishes it first.

    For what cannot be taken back, like a mail on its way: the record must say what happened, so a stop that
    comes too late is dropped, and the task is completed.

    Raises:
        TransientError: the effect was cut off from within, so that nobody knows whether it happened.
        Exception: whatever the effect raises.
    """
    under_way = asyncio.ensure_future(effect)
    try:
        return await asyncio.shield(under_way)
    except asyncio.CancelledError:
        result = await _to_its_end(under_way)
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        return result


async def _to_its_end(under_way: asyncio.Future[Result]) -> Result:
    await asyncio.wait([under_way])
    if under_way.cancelled():
        raise TransientError(_CUT_OFF)
    return under_way.result()
