"""What a definition must be: a name of a service, a contract, a function with the right parameters."""

import inspect
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from waybill_contracts.events import Event
from waybill_contracts.registry import RESERVED, Contract, KindName, ServiceName, schema_faults


class DefinitionError(ValueError):
    """A service, a kind or a handler is defined wrongly; the text says what to change.

    try:
        Service("Not a name")
    except DefinitionError as error:
        print(error)
    """


def checked_service_name(name: str) -> str:
    """A name that a service may have.

    Raises:
        DefinitionError: it is malformed, or one of Waybill's own.
    """
    try:
        TypeAdapter(ServiceName).validate_python(name)
    except ValidationError:
        raise DefinitionError(
            f"{name!r} is no name of a service: small letters and digits, words joined by -, at most 48"
        ) from None
    if name in RESERVED:
        raise DefinitionError(f"{name!r} is a name of Waybill's own: choose another name for the service")
    return name


def contract_of(event: type[Event]) -> Contract:
    """The contract that an event class writes.

    It is not compiled, which an application that only submits tasks has no need of: see `Kinds.handled`.

    Raises:
        DefinitionError: the class has no kind, or the contract could not be registered.
    """
    kind = getattr(event, "KIND", None)
    if not isinstance(kind, str):
        raise DefinitionError(
            f'{event.__name__} has no kind: class {event.__name__}(Event, kind="invoice.requested")'
        )
    try:
        TypeAdapter(KindName).validate_python(kind)
    except ValidationError:
        raise DefinitionError(
            f"{kind!r} of {event.__name__} is no kind: at least two words of small letters and digits, "
            "joined by . or -, at most 64 characters"
        ) from None
    try:
        contract = Contract.of(event)
    except PydanticInvalidForJsonSchema as error:
        raise DefinitionError(f"{event.__name__} cannot be described in JSON: {error.message}") from None
    require_registrable(contract, event, compiled=False)
    return contract


def require_registrable(contract: Contract, event: type[Event], *, compiled: bool = True) -> None:
    """Checks that the contract of an event class can be registered.

    Args:
        contract: the contract.
        event: the class that has written it.
        compiled: see `schema_faults`.

    Raises:
        DefinitionError: it cannot.
    """
    if faults := schema_faults(contract.schema, compiled=compiled):
        raise DefinitionError(f"the contract of {event.__name__} cannot be registered: {'; '.join(faults)}")


def positional(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a handler.

    Raises:
        DefinitionError: one is not positional.
    """
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters:
        if parameter.kind not in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}:
            raise DefinitionError(
                f"{name_of(function)} has a parameter {parameter}: a handler takes its arguments by position"
            )
    return parameters


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def name_of(function: Callable[..., Any]) -> str:
    """How an error names a function."""
    return getattr(function, "__qualname__", repr(function))
