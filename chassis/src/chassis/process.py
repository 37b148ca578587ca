"""How a process lives: it starts, works until it is told to stop, and stops in good order."""

import asyncio
import signal
import sys
from collections.abc import Callable
from typing import Protocol

import uvloop

from chassis.logs import get_logger

log = get_logger(__name__)

#: sysexits.h EX_SOFTWARE: a supervisor starts the process again.
EXIT_BROKEN = 70


class Lifecycle(Protocol):
    """What a process is made of."""

    async def start(self) -> None:
        """Returns when the work has begun."""

    async def broken(self) -> None:
        """Returns only when the process cannot do its work any more."""

    async def stop(self) -> None:
        """Ends the work in good order; also called if `start` was cut short."""


def run(make: Callable[[], Lifecycle]) -> None:
    """Runs a process until SIGTERM or SIGINT; exits 70 if it breaks down."""
    sys.exit(uvloop.run(_run(make)))


async def _run(make: Callable[[], Lifecycle]) -> int:
    loop = asyncio.get_running_loop()
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    process = make()
    stopping = asyncio.create_task(told_to_stop.wait())
    working = asyncio.create_task(_work(process))
    try:
        await asyncio.wait((stopping, working), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            return EXIT_BROKEN
        log.info("stopping")
        return 0
    finally:
        stopping.cancel()
        working.cancel()
        await asyncio.gather(stopping, working, return_exceptions=True)
        await process.stop()
        log.info("stopped")


async def _work(process: Lifecycle) -> None:
    await process.start()
    await process.broken()
