"""Waiting for what must become true, instead of for a time."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

Seen = TypeVar("Seen")

#: Between two looks at a condition.
POLL_SECONDS = 0.02
#: For how long a condition is waited for: far above what it takes, for machines that are busy.
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
    """Looks again and again until `condition`, a function or coroutine function, answers something true.

    Args:
        condition: what is waited for.
        seconds: for how long.
        every: seconds between two looks; more where looks take time from what is waited for.

    Returns:
        What it answered.

    Raises:
        AssertionError: the time ran out; the message has the last answer.
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
