"""Keeps the broker of a stack running: starts it again when it ends by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from waybill_testkit.broker import Broker

#: Seconds between two checks.
POLL_SECONDS = 0.5
#: Wait before a start; doubled each time up to the longest, until it has run for long enough.
FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS, STEADY_SECONDS = 0.5, 10.0, 30.0


@asynccontextmanager
async def kept_running(broker: Broker, say: Callable[[str], None]) -> AsyncIterator[None]:
    """For the time of the block, starts the broker again whenever it has ended by itself.

    Data and ports stay; clients have to connect again.

    Args:
        broker: a running broker; one that we did not start is left alone.
        say: called with a line of text for each restart.
    """
    keeping = asyncio.create_task(_keep(broker, say))
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def _keep(broker: Broker, say: Callable[[str], None]) -> None:
    backoff, started = FIRST_BACKOFF_SECONDS, time.monotonic()
    while True:
        await asyncio.sleep(POLL_SECONDS)
        if not broker.has_ended:
            continue
        if time.monotonic() - started > STEADY_SECONDS:
            backoff = FIRST_BACKOFF_SECONDS
        say(f"the broker has ended; it is started again in {backoff:g} s")
        await asyncio.sleep(backoff)
        backoff, started = min(backoff * 2, LONGEST_BACKOFF_SECONDS), time.monotonic()
        broker.launch()
