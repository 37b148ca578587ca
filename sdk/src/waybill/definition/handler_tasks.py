"""Handler tasks: functions whose contract is made from their signature."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, ClassVar, Final, Generic, ParamSpec, TypeVar, get_type_hints

from pydantic import PydanticSchemaGenerationError, TypeAdapter, create_model
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import to_json

from waybill.attempt import Attempt, SyncAttempt
from waybill.definition.contracts import DefinitionError, is_async, name_of
from waybill.extras import needing
from waybill.submitting import Submitter
from waybill_contracts.events import Event

#: Parameters of the function, and those of a task.
P = ParamSpec("P")
Q = ParamSpec("Q")
#: What a function returns.
T_co = TypeVar("T_co", covariant=True)


class HandlerTask(Submitter[Q], Generic[P, Q, T_co]):
    """A function that handles the tasks which its arguments make; made by `Service.task`.

        remind.submit("ann@example.com", days=7)                   # accepted when it returns
        await remind.asubmit("ann@example.com", days=7)            # in async code
        remind.using(delay_seconds=3600).submit("ann@example.com")
        remind.submit_in(session, "ann@example.com")               # in the application's own transaction
        remind.local("ann@example.com")                            # here and at once, for tests

    Called, it is the function itself.

    Attributes:
        kind: of its tasks: `<service>.<function>`.
    """

    def __init__(
        self,
        service: str,
        function: Callable[P, T_co],
        version: int,
        resources: Callable[[], Any] | None,
    ) -> None:
        """Makes the contract of a function.

        Args:
            service: name of the service.
            function: its first parameter may be an attempt, and after that what the service's resources are.
            version: of the contract.
            resources: gives the type of the service's resources; None: it has none.

        Raises:
            DefinitionError: a parameter cannot be a field of a contract.
        """
        update_wrapper(self, function)
        signature = _Signature.of(function, resources)
        self._function = function
        self._signature: Final = signature
        self.kind: Final = f"{service}.{name_of(function).rpartition('.')[2]}"
        self.contract: Final = _event(self.kind, version, self, signature.fields)
        self.takes_resources: Final = signature.leading == _WITH_RESOURCES
        super().__init__(self._event_of, {})

    def __call__(self, *args: P.args, **arguments: P.kwargs) -> T_co:
        """Runs the function."""
        return self._function(*args, **arguments)

    def local(self, *args: Q.args, **arguments: Q.kwargs) -> T_co:
        """Runs the function here and at once, as its task would: for tests.

            assert remind.local("ann@example.com")["days"] == 3
            assert (await aremind.local("ann@example.com"))["days"] == 3

        The arguments are checked by the contract, and take the way over JSON. A function that takes an
        attempt gets one that no service runs; `waybill.testing.run_handler` shows what it was used for.

        Raises:
            TypeError, ValidationError: see `event`.
            DefinitionError: it takes resources: give them to `run_handler`.
        """
        if self.takes_resources:
            raise DefinitionError(
                f"{self.kind} takes resources: run_handler(service, task.event(…), resources=…)"
            )
        event = self.contract.model_validate_json(to_json(self.event(*args, **arguments).event_data()))
        made_up: tuple[Any, ...] = ()
        if self._signature.leading:
            # It needs what runs a service.
            with needing("service"):
                from waybill.definition.local_attempts import attempt_of, sync_attempt_of  # noqa: PLC0415

            made_up = ((attempt_of if is_async(self._function) else sync_attempt_of)(self.kind),)
        returned: T_co = self.handler(event, *made_up)
        return returned

    @property
    def handler(self) -> Callable[..., Any]:
        """Calls the function for an event, an attempt, and the resources if it takes them."""
        call = _AsyncCall if is_async(self._function) else _PlainCall
        return call(self, self._signature.leading, self._signature.by_position)

    def _event_of(self, *args: Any, **arguments: Any) -> Event:
        return self.contract(**self._signature.of_submission.bind(*args, **arguments).arguments)

    def __reduce__(self) -> str:
        # By its name, as a function is: it is found again where it was defined.
        return self._function.__qualname__


class TaskEvent(Event):
    """The base of the events of handler tasks; pickled by their task, as their classes have no name."""

    TASK: ClassVar[HandlerTask[Any, Any, Any]]

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self).TASK, self.model_dump())


def _remade(task: HandlerTask[Any, Any, Any], data: dict[str, Any]) -> Event:
    return task.contract(**data)


@dataclass(frozen=True, slots=True)
class _Signature:
    """The parameters of a function, as those of a handler task."""

    #: How many of attempt and resources it takes.
    leading: int
    #: How many fields it takes by position.
    by_position: int
    of_submission: inspect.Signature
    #: Name to type and default.
    fields: dict[str, tuple[Any, Any]]

    @classmethod
    def of(cls, function: Callable[..., Any], resources: Callable[[], Any] | None) -> "_Signature":
        parameters = list(inspect.signature(function).parameters.values())
        try:
            hints = get_type_hints(function, include_extras=True)
        except NameError as error:
            raise DefinitionError(
                f"an annotation of {name_of(function)} cannot be resolved: {error}; "
                "the task is defined at the top of a module, after what it names"
            ) from None
        leading = 0
        if parameters and hints.get(parameters[0].name) is (Attempt if is_async(function) else SyncAttempt):
            leading = 1
            if len(parameters) > 1 and resources and hints.get(parameters[1].name) is resources():
                leading = _WITH_RESOURCES
        rest = parameters[leading:]
        by_position = sum(parameter.kind is not parameter.KEYWORD_ONLY for parameter in rest)
        fields = {each.name: _field(each, hints, function, resources) for each in rest}
        return cls(leading, by_position, inspect.Signature(rest), fields)


#: Leading parameters of a function that takes the attempt and the resources.
_WITH_RESOURCES: Final = 2


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
    try:
        TypeAdapter(hints[name]).json_schema()
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema):
        raise DefinitionError(
            f"{where}: {name} cannot be JSON: {inspect.formatannotation(hints[name])}; "
            "another process reads it, so give it an id, by which the function finds the rest"
        ) from None
    return hints[name], ... if parameter.default is parameter.empty else parameter.default


def _event(
    kind: str, version: int, task: HandlerTask[Any, Any, Any], fields: dict[str, tuple[Any, Any]]
) -> type[Event]:
    name = "".join(word.capitalize() for word in kind.rpartition(".")[2].split("_"))
    definitions: dict[str, Any] = fields
    event: type[TaskEvent] = create_model(
        name,
        __base__=TaskEvent,
        __module__=task.__module__,
        __doc__=(inspect.getdoc(task) or "").partition("\n\n")[0] or None,
        __cls_kwargs__={"kind": kind, "version": version},
        **definitions,
    )
    event.TASK = task
    return event


@dataclass(frozen=True, slots=True)
class _Call:
    """Calls a function with the fields of an event as its arguments; can be sent to another process."""

    task: HandlerTask[Any, Any, Any]
    #: How many of attempt and resources it takes.
    leading: int
    #: How many fields it takes by position.
    by_position: int

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        return self.task

    def _called(self, event: Event, given: tuple[Any, ...]) -> Any:
        names = list(type(event).model_fields)
        by_name = {name: getattr(event, name) for name in names[self.by_position :]}
        values = (getattr(event, name) for name in names[: self.by_position])
        return self.task(*given[: self.leading], *values, **by_name)


class _AsyncCall(_Call):
    async def __call__(self, event: Event, *given: Any) -> Any:
        return await self._called(event, given)


class _PlainCall(_Call):
    def __call__(self, event: Event, *given: Any) -> Any:
        return self._called(event, given)
