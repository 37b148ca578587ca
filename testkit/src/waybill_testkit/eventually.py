"""Waits for a condition instead of for a time."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

Seen = TypeVar("Seen")

#: Seconds between two checks of a condition.
POLL_SECONDS = 0.02
#: Time limit of a condition, in seconds: far above what it takes, for busy machines.
EVENTUALLY_SECONDS = 30.0


@overload
async def eventually(
    condition: Callable[[], Awaitable[Seen | None]], seconds: float = ..., *, every: float = ...
) -> Seen: ...
@overload
async def eventually(
    condition: Callable[[], Seen | None], seconds: float = ..., *, every: float = ...
) -> Seen: ...
async def eventually(
    condition: Callable[[], Any], seconds: float = EVENTUALLY_SECONDS, *, every: float = POLL_SECONDS
) -> Any:
    """Calls `condition`, a function or coroutine function, until it returns something true.

    Args:
        condition: the condition to wait for.
        seconds: time limit.
        every: seconds between two checks; more where checks slow down the work that they wait for.

    Returns:
        The last result of `condition`.

    Raises:
        AssertionError: the time ran out; the message has the last result.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        answer = condition()
        seen = await answer if inspect.isawaitable(answer) else answer
        if seen:
            return seen
        if loop.time() > deadline:
            raise AssertionError(f"not true within {seconds:g} s, the last answer was {seen!r}")
        await asyncio.sleep(every)
