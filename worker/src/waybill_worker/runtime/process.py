"""The life of a process: it starts, works until a signal stops it, and stops in order."""

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

from waybill_worker.observe import get_logger, shut_down_tracing
from waybill_worker.prefork import EXIT_BROKEN, EXIT_MISCONFIGURED, siblings
from waybill_worker.runtime.memory import freeze_startup, trim_heap
from waybill_worker.runtime.tls import distrust

log = get_logger(__name__)

#: Errors of the first use of a setting that is wrong, or names something that does not exist.
WRONG_SETTING: Final = (ValueError, OSError)

#: Seconds for the remaining asyncio tasks to end once the process has stopped.
STRAGGLER_SECONDS: Final = 1.0


class MisconfiguredError(Exception):
    """The process cannot work with its settings, or with what they name; `str()` is the reason."""


class Lifecycle(Protocol):
    """The work of a process."""

    async def start(self) -> None:
        """Returns when the work has begun.

        Raises:
            MisconfiguredError: people must correct something before it can begin.
        """

    async def wait_failed(self) -> int | None:
        """Returns only when the work cannot go on: the exit code; None: `EXIT_BROKEN`."""

    async def stop(self) -> None:
        """Ends the work in order; also called if `start` was cancelled or failed."""


@contextmanager
def configuring(*faults: type[Exception]) -> Iterator[None]:
    """Turns these errors into `MisconfiguredError`: people must correct something.

    Raises:
        MisconfiguredError: instead of one of `faults`.
    """
    try:
        yield
    except faults as error:
        raise MisconfiguredError(str(error)) from error


def run(make: Callable[[], Lifecycle], *, stop_seconds: float) -> NoReturn:
    """Runs a process until SIGTERM or SIGINT; exits 70 if it fails, 78 if people must correct something.

    Args:
        make: makes the work of the process.
        stop_seconds: seconds after which a stopping process ends in any case.
    """
    sys.exit(uvloop.run(live(make, stop_seconds=stop_seconds, stop_requested=asyncio.Event())))


def refuse_to_start(why: str) -> None:
    """Logs in one line what people have to correct."""
    log.critical("misconfigured: not starting", reason=why)


async def live(make: Callable[[], Lifecycle], *, stop_seconds: float, stop_requested: asyncio.Event) -> int:
    """The life of a process in its event loop, as `run` runs it; `stop_requested` ends it too.

    Returns:
        The exit code.
    """
    if (others := siblings()) is not None:
        others.watch_parent(stop_requested.set)
    try:
        return await _to_the_end(make, stop_seconds, stop_requested)
    finally:
        shut_down_tracing()


async def _to_the_end(
    make: Callable[[], Lifecycle], stop_seconds: float, stop_requested: asyncio.Event
) -> int:
    code = await _run(make, stop_seconds, stop_requested)
    stragglers = asyncio.all_tasks() - {asyncio.current_task()}
    for straggler in stragglers:
        straggler.cancel()
    if stragglers:
        _, stragglers = await asyncio.wait(stragglers, timeout=STRAGGLER_SECONDS)
    if stragglers:
        log.error("ending with tasks that do not end", tasks=sorted(map(repr, stragglers)))
        sys.stdout.flush()
        os._exit(code)
    return code


def _end_after(seconds: float, code: int) -> None:
    """Ends the process after that time, if it has not ended: it may die at any time without losing work.

    From a thread, because the event loop may be blocked, or the interpreter may wait for a thread: one that
    waits for a database which does not answer.
    """

    def end() -> None:
        log.error("did not stop in time; ending anyway", seconds=seconds, exit_code=code)
        sys.stdout.flush()
        os._exit(code)

    # With the fields that are bound to each log line of this process.
    timer = threading.Timer(seconds, copy_context().run, (end,))
    timer.daemon = True
    timer.start()


async def _run(make: Callable[[], Lifecycle], stop_seconds: float, stop_requested: asyncio.Event) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_requested.set)
    try:
        process = make()
    except MisconfiguredError as error:
        refuse_to_start(str(error))
        return EXIT_MISCONFIGURED
    stopping = asyncio.create_task(stop_requested.wait())
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
    # Not raised: the interpreter would print it outside the log, unmasked.
    log.critical("ending after an unexpected error", exc_info=error)
    return EXIT_BROKEN


async def _work(process: Lifecycle) -> int | None:
    freeze_startup()
    await process.start()
    trim_heap()
    if (others := siblings()) is not None:
        others.report_begun()
    return await process.wait_failed()
