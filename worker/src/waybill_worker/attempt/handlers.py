"""Handlers: one for each kind that a service consumes."""

import inspect
import pickle
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self, TypeVar

from waybill_contracts.events import Event
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.attempt.sync_attempt import SyncAttempt
from waybill_worker.errors import NotReadableYetError
from waybill_worker.limits import DEFAULT_LIMITS, TimeLimits
from waybill_worker.worker_pool import usable_cores

EventT = TypeVar("EventT", bound=Event)
#: Does the work of one attempt; returns the subtask's result as plain JSON, None for an empty one.
AsyncFunction = Callable[[EventT, Attempt], Coroutine[Any, Any, dict[str, Any] | None]]
PlainFunction = Callable[[EventT, SyncAttempt], dict[str, Any] | None]
HandlerFunction = AsyncFunction[EventT] | PlainFunction[EventT]


class Runs(StrEnum):
    """Where a handler function runs."""

    #: An `async def` function.
    ON_LOOP = "on the event loop"
    #: A plain `def` function.
    IN_THREAD = "in a thread"
    #: A plain `def` function that computes, or may have to be killed.
    IN_PROCESS = "in a process"

    @classmethod
    def of(cls, function: HandlerFunction[Any], *, processes: bool) -> Self:
        """Where `function` runs.

        Raises:
            ValueError: it is to run in processes, but is a coroutine function, or cannot be sent there.
        """
        if _is_async(function):
            if processes:
                raise ValueError(f"{function!r} is an async function, and only plain ones run in processes")
            return cls(cls.ON_LOOP)
        if not processes:
            return cls(cls.IN_THREAD)
        try:
            pickle.dumps(function)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(f"only a function of a module runs in processes: {error}") from error
        return cls(cls.IN_PROCESS)


@dataclass(frozen=True, slots=True)
class Handler:
    """The event of a kind, its handler function, its retry policy and its time limits."""

    event: type[Event]
    function: HandlerFunction[Any]
    policy: RetryPolicy
    limits: TimeLimits
    runs: Runs = Runs.ON_LOOP
    #: Most of its attempts at once in one process of the service; None: as many as the prefetch.
    concurrency: int | None = None


def handler(
    event: type[EventT],
    function: HandlerFunction[EventT],
    policy: RetryPolicy,
    limits: TimeLimits = DEFAULT_LIMITS,
    *,
    processes: bool = False,
    concurrency: int | None = None,
) -> Handler:
    """Binds `function` to the kind of `event`; the types of the two must agree.

    Args:
        event: the event of the kind.
        function: `async def`, with an `Attempt`; or a plain `def`, with a `SyncAttempt`.
        policy: its retry policy.
        limits: its time limits.
        processes: a plain function runs in processes instead of threads.
        concurrency: most of its attempts at once in one process of the service; None: as many as the
            prefetch, or in processes as many as there are usable cores.

    Raises:
        ValueError: the function cannot run in processes.
    """
    runs = Runs.of(function, processes=processes)
    if runs is Runs.IN_PROCESS:
        concurrency = concurrency or usable_cores()
    return Handler(event, function, policy, limits, runs, concurrency)


def handler_of_unknown(kind: str, policy: RetryPolicy) -> Handler:
    """Stands for the handler of a kind that this release does not know: it only puts the attempt off."""

    async def put_off(_event: Event, _attempt: Attempt) -> None:
        raise NotReadableYetError(f"this release has no handler of {kind}")

    return handler(Event, put_off, policy)


def by_kind(handlers: tuple[Handler, ...]) -> Mapping[str, Handler]:
    """The handlers by the kind that each consumes.

    Raises:
        ValueError: two handlers for one kind.
    """
    table = {each.event.KIND: each for each in handlers}
    if len(table) != len(handlers):
        raise ValueError("one handler a kind")
    return table


def _is_async(function: Callable[..., Any]) -> bool:
    called = getattr(function, "__call__", None)  # noqa: B004 - an object may have an async one
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)
