"""An attempt in a process of its own.

When a service dies during an attempt, the attempt need not be the cause: it may have been killed from
outside. If a process that runs this attempt alone dies while its service goes on, the attempt is the cause.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Final, Generic, Protocol, TypeVar

import uvloop

from waybill_contracts.events import Event
from waybill_contracts.wire import Envelope, LifecycleEvent
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.errors import SnoozeError
from waybill_worker.inbox import Claimed
from waybill_worker.limits import StopReason
from waybill_worker.observe import configure_logging
from waybill_worker.outcome import Outcome
from waybill_worker.runtime import ProcessSettings

#: Not fork: it would copy this process's locks and sockets in any state.
_processes = multiprocessing.get_context("spawn")
#: Seconds that the service must outlive the attempt's process: killing both must not look like one death.
OUTLIVED_SECONDS: Final = 2.0
#: Sent by the process before it runs the handler: from then on its death counts against the attempt.
_BEGUN: Final = "begun"
#: Sent to the process: its handler is to stop.
_STOP: Final = "stop"
#: Publishes a lifecycle event soon; the future is done once it has arrived.
Emit = Callable[[LifecycleEvent], asyncio.Future[None]]


class DiedAloneError(Exception):
    """The process that ran only this attempt has died; the text has its exit status."""


@dataclass(frozen=True, slots=True)
class LoneAttempt:
    """A claimed attempt, as it is sent to its process."""

    envelope: Envelope
    event: Event
    attempt: Attempt
    claim: Claimed


class RunsAlone(Protocol):
    """A service that can run one attempt for another process, without being started."""

    def run_alone(
        self, lone: LoneAttempt, begun: Callable[[], object], emit: Emit
    ) -> Coroutine[Any, Any, Outcome | None]:
        """Runs it, calls `begun` right before its handler, and `emit` to report; None: its lease was lost."""

    def stop_task(self, task_id: str) -> object:
        """Asks the handlers of a task to stop."""


Settings = TypeVar("Settings", bound=ProcessSettings)


class Isolation(Generic[Settings]):
    """Runs attempts of one service in processes of their own.

    Args:
        name: the service.
        settings: the service's settings.
        make: makes the service from them, in the other process; a function of a module.
    """

    def __init__(self, name: str, settings: Settings, make: Callable[[Settings], RunsAlone]) -> None:
        self._name = name
        self._settings = settings
        self._make = make

    async def run(self, lone: LoneAttempt, emit: Emit, stop: asyncio.Event) -> Outcome | None:
        """Runs an attempt; cancelling kills its process.

        Args:
            lone: the attempt.
            emit: publishes what its process reports meanwhile.
            stop: set, the handler is asked to stop.

        Returns:
            Its outcome; None: its lease was lost, and it has not acted.

        Raises:
            DiedAloneError: its process has died, and this one lives.
            SnoozeError: the process ended before it ran the attempt.
        """
        ours, theirs = _processes.Pipe()
        process = _processes.Process(
            target=_serve,
            args=(theirs, self._name, self._settings, self._make, lone),
            name=f"{self._name}-alone",
        )
        process.start()
        theirs.close()
        loop = asyncio.get_running_loop()
        stopping = asyncio.create_task(_stop_when(stop, ours))
        try:
            begun, answer = await asyncio.to_thread(
                _answer, process, ours, lambda event: loop.call_soon_threadsafe(emit, event)
            )
        except asyncio.CancelledError:
            process.kill()
            raise
        finally:
            stopping.cancel()
        if answer is not None:
            return answer[0]
        if not begun:
            raise SnoozeError(f"no process of its own could run it: exit status {process.exitcode}")
        await asyncio.sleep(OUTLIVED_SECONDS)
        raise DiedAloneError(f"exit status {process.exitcode}")


async def until_it_ends(
    run: Callable[[asyncio.Event], Coroutine[Any, Any, Outcome | None]],
) -> Outcome | None:
    """Runs an attempt in its process, which applies the soft limit itself."""
    stop = asyncio.Event()
    running = asyncio.ensure_future(run(stop))
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as stopped:
            match StopReason.of(stopped):
                case StopReason.CANCELLED:
                    stop.set()
                case StopReason.SOFT_LIMIT:
                    pass
                case _:  # it is cut off, or this process stops
                    running.cancel()
                    await asyncio.wait([running])
                    raise
    return running.result()


async def _stop_when(stop: asyncio.Event, ours: Connection) -> None:
    await stop.wait()
    with suppress(OSError):  # it has ended: there is nothing to stop
        ours.send(_STOP)


def _answer(
    process: SpawnProcess, ours: Connection, report: Callable[[LifecycleEvent], object]
) -> tuple[bool, tuple[Outcome | None] | None]:
    """Whether the process began, and its answer if there is one; the process has ended then."""
    begun = False
    with ours:
        try:
            while isinstance(said := ours.recv(), LifecycleEvent) or said == _BEGUN:
                begun = True
                if isinstance(said, LifecycleEvent):
                    report(said)
        except (EOFError, OSError):
            process.join()
            return begun, None
    process.kill()
    process.join()
    return begun, (said,)


def _serve(
    theirs: Connection,
    name: str,
    settings: Settings,
    make: Callable[[Settings], RunsAlone],
    lone: LoneAttempt,
) -> None:
    """The work of the process."""
    # The service decides when it ends, also where a terminal interrupts all processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_owner, name="end-with-owner", daemon=True).start()
    configure_logging(name, level=settings.log_level, format_=settings.log_format)
    service = make(settings)

    def stop() -> None:
        try:
            theirs.recv()
        except EOFError:  # the owner has ended, and this process is about to
            asyncio.get_running_loop().remove_reader(theirs.fileno())
        else:
            service.stop_task(lone.envelope.task_id)

    async def run() -> None:
        asyncio.get_running_loop().add_reader(theirs.fileno(), stop)
        # Resources end with this process, which is killed once it has answered.
        theirs.send(await service.run_alone(lone, partial(theirs.send, _BEGUN), partial(_report, theirs)))

    uvloop.run(run())


def _report(theirs: Connection, event: LifecycleEvent) -> asyncio.Future[None]:
    theirs.send(event)
    arrived = asyncio.get_running_loop().create_future()
    arrived.set_result(None)
    return arrived


def _end_with_owner() -> None:
    # A killed owner cannot end this process, and another copy runs as soon as the lease has expired.
    owner = multiprocessing.parent_process()
    if owner is not None:
        owner.join()
        os._exit(1)
