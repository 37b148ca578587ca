"""Handlers: one for each kind that a service consumes."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from waybill_contracts.events import Event
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.errors import NotReadableYetError
from waybill_worker.limits import DEFAULT_LIMITS, TimeLimits

EventT = TypeVar("EventT", bound=Event)
#: Does the work of one attempt; returns the subtask's result as plain JSON, None for an empty one.
HandlerFunction = Callable[[EventT, Attempt], Coroutine[Any, Any, dict[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """The event of a kind, its handler function, its retry policy and its time limits."""

    event: type[Event]
    function: HandlerFunction[Any]
    policy: RetryPolicy
    limits: TimeLimits


def handler(
    event: type[EventT],
    function: HandlerFunction[EventT],
    policy: RetryPolicy,
    limits: TimeLimits = DEFAULT_LIMITS,
) -> Handler:
    """Binds `function` to the kind of `event`; the types of the two must agree."""
    return Handler(event, function, policy, limits)


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
