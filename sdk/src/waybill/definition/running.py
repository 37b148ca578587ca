"""What runs a service, made of its definition."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import wraps
from typing import Any, Generic, TypeVar

from waybill.definition.contracts import is_async
from waybill.definition.kinds import Handled, Kinds
from waybill_contracts.events import Event
from waybill_worker.attempt import Attempt, SyncAttempt, configured
from waybill_worker.consume import ServiceSettings
from waybill_worker.service import Service as ServiceProcess

R = TypeVar("R")


class _Held(Generic[R]):
    """The resources while they are open."""

    value: R


def process_of(name: str, settings: ServiceSettings, kinds: Kinds, release: str) -> ServiceProcess:
    """What runs a service in this process, not yet started.

    Raises:
        DefinitionError: see `Service.manifest`.
        ValueError: the settings contradict each other, or name a kind that it does not handle.
    """
    held: _Held[Any] = _Held()
    handlers = tuple(
        configured(
            settings,
            handled.event,
            _bound(handled, held),
            handled.options.policy,
            processes=handled.options.processes,
        )
        for handled in kinds.handled()
    )
    opens = kinds.resources
    return ServiceProcess(
        name,
        settings,
        handlers,
        resources=None if opens is None else _opened(opens(settings), held),
        upcasters=kinds.upcasters,
        release=release,
    )


@asynccontextmanager
async def _opened(resources: AbstractAsyncContextManager[R], held: _Held[R]) -> AsyncIterator[None]:
    async with resources as held.value:
        yield


def _bound(handled: Handled, held: _Held[Any]) -> Callable[..., Any]:
    """A handler that takes event and attempt only."""
    function = handled.function
    if not handled.takes_resources:
        return function

    @wraps(function)
    async def with_resources(event: Event, attempt: Attempt) -> Any:
        return await function(event, attempt, held.value)

    @wraps(function)
    def plain_with_resources(event: Event, attempt: SyncAttempt) -> Any:
        return function(event, attempt, held.value)

    return with_resources if is_async(function) else plain_with_resources
