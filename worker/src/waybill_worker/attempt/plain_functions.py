"""Plain `def` functions as handlers: each runs in a thread or in a process, and the event loop goes on.

Both are stopped like an `async def` handler as far as that is possible. Asked to stop, a plain function
notices it in the next method of its attempt that it calls. At the hard time limit a process is killed, which
harms nobody else. A thread cannot be killed: it is waited for, and if it does not end, this process does, as
where an `async def` handler does not end (decision 12).
"""

import asyncio
import pickle
import signal
import threading
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import structlog
from tblib import Traceback, pickling_support

from waybill_contracts.events import Event
from waybill_contracts.privacy import Mask
from waybill_worker.attempt.attempt import Attempt, AttemptFacts
from waybill_worker.attempt.sync_attempt import Portal, SyncAttempt
from waybill_worker.errors import HandlerDiedError, SnoozeError
from waybill_worker.limits import StopReason, goes_on_in_a_thread
from waybill_worker.observe import configure_logging, mask_lines
from waybill_worker.outcome import result_of
from waybill_worker.runtime import ProcessSettings
from waybill_worker.worker_pool import WorkerDied, WorkerLimits, WorkerPool, WorkerPoolOptions, ask_owner

#: A plain function that handles an event.
PlainFunction = Callable[[Any, SyncAttempt], Any]


async def in_thread(function: PlainFunction, event: Event, attempt: Attempt) -> Any:
    """Runs a function in a thread of its own.

    A thread is not waited for when the process stops: it ends with the process.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
    portal = Portal(attempt)
    context = copy_context()

    def run() -> None:
        made: tuple[Any, BaseException | None]
        try:
            made = context.run(function, event, SyncAttempt.of(attempt, portal.call)), None
        except BaseException as error:  # noqa: BLE001 - raised again by the handler that waits
            made = None, error
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, ended, made)

    # Not from an executor: the interpreter joins those threads before it ends, however long that takes.
    threading.Thread(target=run, name=f"handler of {attempt.kind}", daemon=True).start()
    is_late = False
    while not ended.done():
        try:
            await asyncio.wait([ended])
        except asyncio.CancelledError as stopped:
            reason = StopReason.of(stopped)
            portal.stop(reason or "the process stops")
            is_late = is_late or reason is StopReason.HARD_LIMIT
            # One that is late is recorded right before the process ends, and not before.
            if reason is None and not is_late:
                goes_on_in_a_thread()
                raise
    result, error = ended.result()
    if error is not None:
        raise _as_exception(error)
    return result


class FunctionProcesses:
    """Runs functions of modules in processes, each of which does one at a time.

    Args:
        service: the service, for its log lines.
        settings: those of its log.
        workers: processes at once.
    """

    def __init__(self, service: str, settings: ProcessSettings, workers: int) -> None:
        self._log = _Log(service, settings.log_level, settings.log_format)
        # Time limits are those of the attempt, and memory is the service's to limit.
        options = WorkerPoolOptions(WorkerLimits(None, None), None, workers)
        self._pool = WorkerPool(_run, options, name=f"{service}-handler")

    async def prepare(self, function: Callable[..., Any]) -> None:
        """Has a process that knows the function: to start one takes seconds on a busy machine.

        Raises:
            SnoozeError: none could be started; that says nothing about the attempt.
        """
        try:
            await self._pool.run(_Ready(function, self._log))
        except WorkerDied as died:
            raise SnoozeError(f"no process could be started for it: {died}") from died

    async def run(self, function: PlainFunction, event: Event, attempt: Attempt) -> Any:
        """Runs a function; what it returns is plain JSON.

        Raises:
            HandlerDiedError: its process died.
            Exception: from the function, with its traceback.
        """
        portal = Portal(attempt)
        facts = AttemptFacts(**{each.name: getattr(attempt, each.name) for each in fields(AttemptFacts)})
        call = _Call(function, event, facts, structlog.contextvars.get_contextvars(), self._log)
        running = asyncio.ensure_future(
            self._pool.run(
                call, answer=lambda question: portal.call(question[0], *question[1], **question[2])
            )
        )
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError as stopped:
                reason = StopReason.of(stopped)
                if reason is None or reason is StopReason.HARD_LIMIT:
                    # It may be killed at any time without losing work, but two must not run at once.
                    running.cancel()
                    await asyncio.wait([running])
                    raise
                portal.stop(reason)
        try:
            ended: _Ended = running.result()
        except WorkerDied as died:
            raise HandlerDiedError(f"The process of the handler died: {died}.") from died
        return ended.result_or_raise()

    async def close(self) -> None:
        """Ends all processes, busy ones too."""
        await self._pool.close()


def _settle(ended: asyncio.Future[Any], made: tuple[Any, BaseException | None]) -> None:
    if not ended.done():
        ended.set_result(made)


def _as_exception(error: BaseException) -> BaseException:
    """The error of a function; `sys.exit` in a function must not end the service."""
    if isinstance(error, Exception | asyncio.CancelledError):
        return error
    return _stand_in(type(error).__name__, str(error), error)


def _stand_in(name: str, text: str, original: BaseException | None = None) -> Exception:
    made: Exception = type(name, (Exception,), {})(text)
    return made if original is None else made.with_traceback(original.__traceback__)


@dataclass(frozen=True, slots=True)
class _Log:
    """What the log of a process needs."""

    service: str
    level: str
    format: str


@dataclass(frozen=True, slots=True)
class _Call:
    """A function and its arguments, as they are sent to a process."""

    function: PlainFunction
    event: Event
    facts: AttemptFacts
    #: Fields of the log lines.
    bound: dict[str, Any]
    log: _Log


@dataclass(frozen=True, slots=True)
class _Ready:
    """A function that will be called."""

    function: PlainFunction
    log: _Log


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a function ended, as its process sends it back."""

    result: dict[str, Any] | None = None
    #: The error with its traceback and causes, pickled; None: it cannot be pickled.
    pickled: bytes | None = None
    #: Type, text and traceback of an error that cannot be pickled.
    error: tuple[str, str, dict[str, Any]] | None = None

    def result_or_raise(self) -> dict[str, Any] | None:
        """The result; or the error is raised, as the function raised it."""
        if self.pickled is not None:
            error: BaseException = pickle.loads(self.pickled)  # noqa: S301 - from a process of ours
            raise error
        if self.error is not None:
            name, text, frames = self.error
            raise _stand_in(name, text).with_traceback(Traceback.from_dict(frames).as_traceback())
        return self.result


def _run(call: _Call | _Ready) -> _Ended | None:
    """The work of a process."""
    _prepare(call.log)
    if isinstance(call, _Ready):
        return None  # to read it has imported the function's module
    return copy_context().run(_run_bound, call)


@cache
def _prepare(log: _Log) -> None:
    # The service decides when it ends, also where a terminal interrupts all processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure_logging(log.service, level=log.level, format_=log.format)


def _run_bound(call: _Call) -> _Ended:
    structlog.contextvars.bind_contextvars(**call.bound)
    mask_lines(Mask.of(call.event))
    try:
        returned = call.function(call.event, SyncAttempt.of(call.facts, _ask))
    except BaseException as error:  # noqa: BLE001 - raised again by the service
        return _raised(_as_exception(error))
    return _Ended(result_of(returned))


def _ask(method: str, *arguments: Any, **named: Any) -> Any:
    return ask_owner((method, arguments, named))


def _raised(error: BaseException) -> _Ended:
    try:
        pickling_support.install(error)
        pickled = pickle.dumps(error)
        pickle.loads(pickled)  # noqa: S301 - made above; many errors can be pickled, but not made again
    except Exception:  # noqa: BLE001 - pickling runs code of any type
        frames = Traceback(error.__traceback__).to_dict()
        return _Ended(error=(type(error).__name__, str(error), frames))
    return _Ended(pickled=pickled)
