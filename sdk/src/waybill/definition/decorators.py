"""What makes functions handlers."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, overload

from waybill.attempt import Attempt, SyncAttempt
from waybill.definition.contracts import DefinitionError, is_async, name_of, positional
from waybill.definition.handler_tasks import HandlerTask
from waybill.definition.kinds import Kinds
from waybill.definition.options import HandlerOptions, Options
from waybill_contracts.events import Event

#: What the handlers of a service use.
R = TypeVar("R")
EventT = TypeVar("EventT", bound=Event)
#: A handler's result, as a JSON object; None: an empty one.
ResultT = TypeVar("ResultT", bound=Awaitable[Mapping[str, Any] | None])
PlainResultT = TypeVar("PlainResultT", bound=Mapping[str, Any] | None)
P = ParamSpec("P")
#: Parameters of a handler of an event: event and attempt, and perhaps the resources.
_WITHOUT_RESOURCES: Final = 2
_WITH_RESOURCES: Final = 3


class Handles(Generic[EventT, R]):
    """Makes a function the handler of an event: see `Service.handles`."""

    def __init__(self, kinds: Kinds, event: type[EventT], options: HandlerOptions) -> None:
        self._kinds = kinds
        self._event = event
        self._options = Options.of(options, kinds.settings)

    @overload
    def __call__(
        self, function: Callable[[EventT, Attempt], ResultT], /
    ) -> Callable[[EventT, Attempt], ResultT]: ...

    @overload
    def __call__(
        self, function: Callable[[EventT, Attempt, R], ResultT], /
    ) -> Callable[[EventT, Attempt, R], ResultT]: ...

    @overload
    def __call__(
        self, function: Callable[[EventT, SyncAttempt], PlainResultT], /
    ) -> Callable[[EventT, SyncAttempt], PlainResultT]: ...

    @overload
    def __call__(
        self, function: Callable[[EventT, SyncAttempt, R], PlainResultT], /
    ) -> Callable[[EventT, SyncAttempt, R], PlainResultT]: ...

    def __call__(self, function: Callable[..., Any], /) -> Callable[..., Any]:
        """Registers the function, and returns it as it is."""
        count = len(positional(function))
        has_resources = self._kinds.resources is not None
        most = _WITH_RESOURCES if has_resources else _WITHOUT_RESOURCES
        if not _WITHOUT_RESOURCES <= count <= most:
            wanted = "event, attempt and resources" if has_resources else "event and attempt"
            raise DefinitionError(f"{name_of(function)} takes {count} arguments; a handler takes {wanted}")
        takes_resources = count == _WITH_RESOURCES
        _require_runnable(function, self._options, takes_resources=takes_resources)
        self._kinds.add(self._event, function, self._options, takes_resources=takes_resources)
        return function


class Tasks(Generic[R]):
    """Makes functions handler tasks: see `Service.task`."""

    def __init__(self, kinds: Kinds, version: int, options: HandlerOptions) -> None:
        self._kinds = kinds
        self._version = version
        self._options = Options.of(options, kinds.settings)

    @overload
    def __call__(
        self, function: Callable[Concatenate[Attempt, R, P], ResultT], /
    ) -> HandlerTask[Concatenate[Attempt, R, P], P, ResultT]: ...

    @overload
    def __call__(
        self, function: Callable[Concatenate[Attempt, P], ResultT], /
    ) -> HandlerTask[Concatenate[Attempt, P], P, ResultT]: ...

    @overload
    def __call__(
        self, function: Callable[Concatenate[SyncAttempt, R, P], PlainResultT], /
    ) -> HandlerTask[Concatenate[SyncAttempt, R, P], P, PlainResultT]: ...

    @overload
    def __call__(
        self, function: Callable[Concatenate[SyncAttempt, P], PlainResultT], /
    ) -> HandlerTask[Concatenate[SyncAttempt, P], P, PlainResultT]: ...

    @overload
    def __call__(self, function: Callable[P, ResultT], /) -> HandlerTask[P, P, ResultT]: ...

    @overload
    def __call__(self, function: Callable[P, PlainResultT], /) -> HandlerTask[P, P, PlainResultT]: ...

    def __call__(self, function: Callable[..., Any], /) -> Any:
        """Registers the function, and returns it as a handler task."""
        kinds = self._kinds
        resources_type = None if kinds.resources is None else kinds.resources_type
        task: HandlerTask[Any, Any, Any] = HandlerTask(kinds.service, function, self._version, resources_type)
        _require_runnable(function, self._options, takes_resources=task.takes_resources)
        kinds.add(task.contract, task.handler, self._options, takes_resources=task.takes_resources)
        return task


def _require_runnable(function: Callable[..., Any], options: Options, *, takes_resources: bool) -> None:
    if not options.processes:
        return
    if is_async(function):
        raise DefinitionError(f"{name_of(function)} is async: only a plain def function runs in processes")
    if takes_resources:
        raise DefinitionError(
            f"{name_of(function)} runs in processes, where there are no resources of the service"
        )
