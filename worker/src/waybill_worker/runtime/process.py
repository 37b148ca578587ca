"""How a process lives: it starts, works until it is told to stop, and stops in good order."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Final, NoReturn, Protocol

import uvloop

from waybill_worker.observe.logs import get_logger
from waybill_worker.observe.tracing import shut_down_tracing
from waybill_worker.runtime.memory import freeze_startup, trim_heap
from waybill_worker.runtime.tls import distrust

log = get_logger(__name__)

#: sysexits.h EX_SOFTWARE: a supervisor starts the process again.
EXIT_BROKEN = 70
#: sysexits.h EX_CONFIG: starting again will not help before somebody has put it right.
EXIT_MISCONFIGURED = 78

#: What a setting raises where it is first made use of, if it makes no sense or names what is not there.
WRONG_SETTING: Final = (ValueError, OSError)

#: Seconds that what still runs has to end when all else has been stopped.
STRAGGLER_SECONDS: Final = 1.0


class MisconfiguredError(Exception):
    """The process cannot work with its settings, or with what they name; `str()` tells people why."""


class Lifecycle(Protocol):
    """What a process is made of."""

    async def start(self) -> None:
        """Returns when the work has begun.

        Raises:
            MisconfiguredError: only people can mend what keeps it from beginning.
        """

    async def wait_failed(self) -> int | None:
        """Returns only when the process cannot do its work any more: its exit code; None: `EXIT_BROKEN`."""

    async def stop(self) -> None:
        """Ends the work in good order; also called if `start` was cut short."""


@contextmanager
def configuring(*faults: type[Exception]) -> Iterator[None]:
    """Takes these errors for something that only people can mend.

    Raises:
        MisconfiguredError: instead of one of `faults`.
    """
    try:
        yield
    except faults as error:
        raise MisconfiguredError(str(error)) from error


def run(make: Callable[[], Lifecycle], *, stop_seconds: float) -> NoReturn:
    """Runs a process until SIGTERM or SIGINT; exits 70 if it breaks down, 78 if only people can mend it.

    Args:
        make: makes it.
        stop_seconds: once it is to stop, it is gone after so long, whatever does not answer it.
    """
    try:
        code = uvloop.run(_to_the_end(make, stop_seconds))
    finally:
        shut_down_tracing()
    sys.exit(code)


def refuse_to_start(why: str) -> None:
    """Says in one line what people have to mend."""
    log.critical("misconfigured: not starting", reason=why)


async def _to_the_end(make: Callable[[], Lifecycle], stop_seconds: float) -> int:
    code = await _run(make, stop_seconds)
    stragglers = asyncio.all_tasks() - {asyncio.current_task()}
    for straggler in stragglers:
        straggler.cancel()
    if stragglers:
        _, stragglers = await asyncio.wait(stragglers, timeout=STRAGGLER_SECONDS)
    if stragglers:
        log.error("ending without those that do not end", tasks=sorted(map(repr, stragglers)))
        sys.stdout.flush()
        os._exit(code)
    return code


def _end_after(seconds: float, code: int) -> None:
    """Ends the process by then, if it has not ended: what it did is safe whenever it dies.

    From a thread, for what does not end may hold up the event loop, or be a thread that the interpreter waits
    for: one that asks a database that does not answer.
    """

    def end() -> None:
        log.error("did not stop in time; ending without what does not end", seconds=seconds, exit_code=code)
        sys.stdout.flush()
        os._exit(code)

    # With the words that are bound to each log line of this process.
    timer = threading.Timer(seconds, copy_context().run, (end,))
    timer.daemon = True
    timer.start()


async def _run(make: Callable[[], Lifecycle], stop_seconds: float) -> int:
    loop = asyncio.get_running_loop()
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    try:
        process = make()
    except MisconfiguredError as error:
        refuse_to_start(str(error))
        return EXIT_MISCONFIGURED
    stopping = asyncio.create_task(told_to_stop.wait())
    working = asyncio.create_task(_work(process))
    code = EXIT_BROKEN
    try:
        await asyncio.wait((stopping, working), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            code = _exit_code(working)
        else:
            log.info("stopping")
            code = 0
        return code
    finally:
        _end_after(stop_seconds, code)
        stopping.cancel()
        working.cancel()
        await asyncio.gather(stopping, working, return_exceptions=True)
        await process.stop()
        log.info("stopped")


def _exit_code(working: asyncio.Task[int | None]) -> int:
    error = working.exception()
    if error is None:
        code = working.result()
        return EXIT_BROKEN if code is None else code
    if (reason := distrust(error)) is not None:
        log.critical("a certificate is not trusted, the other side's or ours: not starting", reason=reason)
        return EXIT_MISCONFIGURED
    if isinstance(error, MisconfiguredError):
        refuse_to_start(str(error))
        return EXIT_MISCONFIGURED
    # Not raised: the interpreter would print it past our log, and what that masks.
    log.critical("ending, by an error that nobody expected", exc_info=error)
    return EXIT_BROKEN


async def _work(process: Lifecycle) -> int | None:
    freeze_startup()
    await process.start()
    trim_heap()
    return await process.wait_failed()
