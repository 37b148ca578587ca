"""Work in the background that leaves the machine to others: a pause after each step, in proportion to it."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Final, TypeVar

Result = TypeVar("Result")
#: The pause in lengths of the step: nine tenths of the time belong to others, however slow the machine is.
PAUSE: Final = 9
#: The least pause, in seconds.
LEAST_PAUSE: Final = 0.02


async def gently(step: Awaitable[Result]) -> Result:
    """Takes a step, then pauses."""
    started = time.monotonic()
    result = await step
    await asyncio.sleep(max(LEAST_PAUSE, PAUSE * (time.monotonic() - started)))
    return result
