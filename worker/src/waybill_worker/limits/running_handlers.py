"""The handlers that run now: how they are stopped, and how an effect is completed first."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar

from waybill_worker.errors import (
    HardTimeLimitExceeded,
    SoftTimeLimitExceeded,
    TransientError,
    UnansweredError,
)
from waybill_worker.limits.time_limits import DEFAULT_LIMITS, TimeLimits

Result = TypeVar("Result")

#: Seconds that a handler has to end once it was cut off.
CLEAN_UP_SECONDS: Final = 2.0
_CUT_OFF = "The work was cut off from within, by a library that cancels what waits for a lost connection."


class HandlerCancelled(Exception):  # noqa: N818 - a signal to the handler, as asyncio.CancelledError is
    """The handler was stopped because its task was cancelled."""


class StopReason(StrEnum):
    """Why a handler is stopped: the argument of the `CancelledError` that it gets."""

    CANCELLED = "cancelled"
    SOFT_LIMIT = "soft time limit"
    HARD_LIMIT = "hard time limit"

    @classmethod
    def of(cls, stopped: asyncio.CancelledError) -> "StopReason | None":
        """The reason in the error that a handler gets; None: its process stops."""
        reason = stopped.args[0] if stopped.args else None
        return reason if isinstance(reason, cls) else None


@dataclass(slots=True, eq=False)
class _RunningHandler:
    """One run of a handler."""

    #: The asyncio task that waits for its end.
    waiter: asyncio.Task[Any] | None
    limits: TimeLimits
    handler: asyncio.Task[Any] | None = None
    #: Of its next limit.
    timer: asyncio.TimerHandle | None = None
    reason: StopReason | None = None
    #: It goes on in a thread, although nothing waits for it any more.
    goes_on: bool = False
    #: Effects under way that a stop must not interrupt.
    effects: set[asyncio.Future[Any]] = field(default_factory=set)

    def stop(self, reason: StopReason) -> None:
        # Only once: a second cancellation would interrupt the clean-up.
        if self.reason is None and self.handler is not None:
            self.reason = reason
            self.handler.cancel(reason)

    def cut_off(self) -> None:
        self.reason = StopReason.HARD_LIMIT
        for under_way in (*self.effects, self.handler):
            if under_way is not None:
                under_way.cancel(self.reason)

    def stopped(self) -> Exception:
        match self.reason:
            case StopReason.CANCELLED:
                return HandlerCancelled()
            case StopReason.SOFT_LIMIT:
                return SoftTimeLimitExceeded(f"It was stopped after {self.limits.soft_seconds:g} s.")
            case StopReason.HARD_LIMIT:
                return hard_limit_error(self.limits)
        return TransientError(_CUT_OFF)


_CURRENT: ContextVar[_RunningHandler | None] = ContextVar("run of a handler", default=None)


def hard_limit_error(limits: TimeLimits) -> HardTimeLimitExceeded:
    """The error of a handler that was cut off."""
    return HardTimeLimitExceeded(
        f"It was cut off after {limits.hard_seconds:g} s; an effect under way may have happened."
    )


class RunningHandlers:
    """Handlers by the task that they work for.

    Attributes:
        stuck: the asyncio tasks that wait for handlers which were cut off and do not end.
        abandoned: those that waited for handlers which go on in threads until the process ends.
    """

    def __init__(self) -> None:
        self._running: dict[str, set[_RunningHandler]] = defaultdict(set)
        self.stuck: set[asyncio.Task[Any]] = set()
        self.abandoned: set[asyncio.Task[Any]] = set()
        self._any_stuck = asyncio.Event()

    async def run(
        self,
        task_id: str,
        handler: Coroutine[Any, Any, Result],
        limits: TimeLimits = DEFAULT_LIMITS,
        *,
        clean_up_seconds: float = CLEAN_UP_SECONDS,
    ) -> Result:
        """Runs a handler to its end.

        Args:
            task_id: the task that it works for.
            handler: it.
            limits: its time limits.
            clean_up_seconds: how long it may take to end once it was cut off.

        Raises:
            HandlerCancelled: `stop` was called for its task, and it stopped.
            SoftTimeLimitExceeded, HardTimeLimitExceeded: it ran for too long, and it stopped.
            TransientError: it was cancelled by something else, such as a library that lost its connection.
            Exception: from the handler.
        """
        run = _RunningHandler(asyncio.current_task(), limits)
        context = copy_context()
        context.run(_CURRENT.set, run)
        run.handler = running = asyncio.create_task(handler, context=context)
        self._running[task_id].add(run)
        try:
            with self._timed(run, clean_up_seconds):
                return await running
        except asyncio.CancelledError:
            if not running.cancelled() or (run.waiter is not None and run.waiter.cancelling()):
                if run.goes_on and run.waiter is not None:
                    self.abandoned.add(run.waiter)
                raise  # the process stops
            raise run.stopped() from None
        finally:
            self._running[task_id].discard(run)
            if not self._running[task_id]:
                del self._running[task_id]

    def stop(self, task_id: str) -> int:
        """Asks the handlers of a task to stop at their next await; an effect under way is completed first.

        Returns:
            How many handlers were asked.
        """
        asked = self._running.get(task_id, set())
        for run in asked:
            run.stop(StopReason.CANCELLED)
        return len(asked)

    async def wait_stuck(self) -> None:
        """Returns when a handler does not end though it was cut off: only the end of its process ends it."""
        await self._any_stuck.wait()

    @contextmanager
    def _timed(self, run: _RunningHandler, clean_up_seconds: float) -> Iterator[None]:
        loop, limits = asyncio.get_running_loop(), run.limits
        began = loop.time()

        # One timer at a time: nearly no handler reaches its first limit.
        def soft() -> None:
            run.timer = loop.call_at(began + limits.hard_seconds, hard)
            run.stop(StopReason.SOFT_LIMIT)

        def hard() -> None:
            run.timer = loop.call_at(began + limits.hard_seconds + clean_up_seconds, self._does_not_end, run)
            run.cut_off()

        run.timer = loop.call_at(began + limits.soft_seconds, soft)
        try:
            yield
        finally:
            run.timer.cancel()

    def _does_not_end(self, run: _RunningHandler) -> None:
        if run.waiter is not None:
            self.stuck.add(run.waiter)
        self._any_stuck.set()


def goes_on_in_a_thread() -> None:
    """States that the current handler ends without waiting for its thread, which cannot be stopped."""
    if (run := _CURRENT.get()) is not None:
        run.goes_on = True


async def uncancellable(effect: Awaitable[Result]) -> Result:
    """Awaits an effect that must not be interrupted: a handler that is stopped meanwhile completes it first.

    For effects that cannot be undone, such as a mail on its way. The record must say what happened, so a
    stop that comes too late is dropped, and the task is completed. Only the hard time limit cuts it off.

    Raises:
        UnansweredError: the effect was cut off from within; whether it happened is not known.
        Exception: from the effect.
    """
    under_way = asyncio.ensure_future(effect)
    run = _CURRENT.get()
    if run is not None:
        run.effects.add(under_way)
    dropped = 0
    while not under_way.done():
        try:
            await asyncio.wait([under_way])
        except asyncio.CancelledError:
            dropped += 1
    if run is not None:
        run.effects.discard(under_way)
        if under_way.cancelled() and run.reason is StopReason.HARD_LIMIT:
            raise asyncio.CancelledError(run.reason)
    if (task := asyncio.current_task()) is not None:
        for _ in range(dropped):
            task.uncancel()
    if under_way.cancelled():
        raise UnansweredError(_CUT_OFF)
    return under_way.result()
