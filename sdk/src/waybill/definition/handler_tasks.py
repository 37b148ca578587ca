"""Handler tasks: functions whose contract is made from their signature."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, ParamSpec, Protocol, TypeVar, get_type_hints

from pydantic import PydanticSchemaGenerationError, create_model

from waybill.definition.contracts import DefinitionError, is_async, name_of
from waybill_contracts.events import Event
from waybill_worker.attempt import Attempt, SyncAttempt

P = ParamSpec("P")
#: Parameters of a submission.
Q = ParamSpec("Q")
#: What a function returns.
T_co = TypeVar("T_co", covariant=True)


class HandlerTask(Protocol[P, Q, T_co]):
    """A function that handles the task that its arguments make.

    Called, it is the function itself, for tests; `event` gives what to submit.
    """

    #: Kind of its tasks: `<service>.<function>`.
    kind: str

    def __call__(self, *args: P.args, **arguments: P.kwargs) -> T_co:
        """Runs the function."""

    def event(self, *args: Q.args, **arguments: Q.kwargs) -> Event:
        """The event of a task with these arguments.

        Raises:
            TypeError: the function takes no such arguments.
            ValidationError: the contract does not allow them.
        """


@dataclass(frozen=True, slots=True)
class Task:
    """A handler task as the service knows it."""

    event: type[Event]
    #: Calls the function for an event, an attempt, and the resources if it takes them.
    handler: Callable[..., Any]
    takes_resources: bool


class TaskEvent(Event):
    """The base of the events of handler tasks; pickled by their function, as their classes have no name."""

    FUNCTION: ClassVar[Callable[..., Any]]

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self).FUNCTION, self.model_dump())


def _remade(function: Any, data: dict[str, Any]) -> Event:
    event: Event = function.event(**data)
    return event


def made_task(
    service: str, function: Callable[..., Any], version: int, resources: Callable[[], Any] | None
) -> Task:
    """Makes the contract of a function, and gives the function its `event` and `kind`.

    Args:
        service: name of the service.
        function: its first parameter may be an `Attempt`, and after that what the service's resources are.
        version: of the contract.
        resources: gives the type of the service's resources; None: it has none.

    Raises:
        DefinitionError: a parameter cannot be a field of a contract.
    """
    parameters = list(inspect.signature(function).parameters.values())
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise DefinitionError(
            f"an annotation of {name_of(function)} cannot be resolved: {error}; the task is defined at the "
            "top of a module, after what it names"
        ) from None
    leading = 0
    if parameters and hints.get(parameters[0].name) is (Attempt if is_async(function) else SyncAttempt):
        leading = 1
        if len(parameters) > 1 and resources and hints.get(parameters[1].name) is resources():
            leading = 2
    fields = {
        parameter.name: _field(parameter, hints, function, resources) for parameter in parameters[leading:]
    }
    event = _event(f"{service}.{function.__name__}", version, function, fields)
    call = _AsyncCall if is_async(function) else _PlainCall
    by_position = sum(parameter.kind is not parameter.KEYWORD_ONLY for parameter in parameters[leading:])
    signature = inspect.Signature(parameters[leading:])

    def of_arguments(*args: Any, **arguments: Any) -> Event:
        return event(**signature.bind(*args, **arguments).arguments)

    marked: Any = function
    marked.event, marked.kind = of_arguments, event.KIND
    return Task(event, call(function, leading, by_position), takes_resources=leading == 2)  # noqa: PLR2004


def _field(
    parameter: inspect.Parameter,
    hints: dict[str, Any],
    function: Callable[..., Any],
    resources: Callable[[], Any] | None,
) -> tuple[Any, Any]:
    name, where = parameter.name, name_of(function)
    if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
        raise DefinitionError(f"{where} has {parameter}: a contract has fields with names")
    if name not in hints:
        raise DefinitionError(f"{where}: give {name} a type; the contract is made from it")
    if hints[name] is Attempt or hints[name] is SyncAttempt:
        wanted = "an Attempt" if is_async(function) else "a SyncAttempt, as the function is plain"
        raise DefinitionError(f"{where}: the attempt comes first, and is {wanted}")
    if resources and hints[name] is resources():
        raise DefinitionError(f"{where}: the resources come second, after an attempt")
    if name.startswith("_") or hasattr(Event, name):
        raise DefinitionError(f"{where}: a field of an event cannot be named {name}; rename the parameter")
    return hints[name], ... if parameter.default is parameter.empty else parameter.default


def _event(
    kind: str, version: int, function: Callable[..., Any], fields: dict[str, tuple[Any, Any]]
) -> type[Event]:
    name = "".join(word.capitalize() for word in function.__name__.split("_"))
    definitions: dict[str, Any] = fields
    try:
        event: type[TaskEvent] = create_model(
            name,
            __base__=TaskEvent,
            __module__=function.__module__,
            __doc__=(inspect.getdoc(function) or "").partition("\n\n")[0] or None,
            __cls_kwargs__={"kind": kind, "version": version},
            **definitions,
        )
    except PydanticSchemaGenerationError as error:
        raise DefinitionError(
            f"{name_of(function)}: a parameter has a type that is not JSON: {error.message.splitlines()[0]}"
        ) from None
    event.FUNCTION = function
    return event


@dataclass(frozen=True, slots=True)
class _Call:
    """Calls a function with the fields of an event as its arguments; can be sent to another process."""

    function: Callable[..., Any]
    #: How many of attempt and resources it takes.
    leading: int
    #: How many fields it takes by position.
    by_position: int

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        return self.function

    def _called(self, event: Event, given: tuple[Any, ...]) -> Any:
        names = list(type(event).model_fields)
        by_name = {name: getattr(event, name) for name in names[self.by_position :]}
        values = (getattr(event, name) for name in names[: self.by_position])
        return self.function(*given[: self.leading], *values, **by_name)


class _AsyncCall(_Call):
    async def __call__(self, event: Event, *given: Any) -> Any:
        return await self._called(event, given)


class _PlainCall(_Call):
    def __call__(self, event: Event, *given: Any) -> Any:
        return self._called(event, given)
