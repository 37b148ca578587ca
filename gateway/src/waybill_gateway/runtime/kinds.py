"""Kinds that tasks can be made of, and what convenience routes demand of some beyond their contract."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from waybill_contracts.registry import Kind, UnknownKindError
from waybill_gateway.http import FieldError, Problem

if TYPE_CHECKING:
    from waybill_gateway.runtime.resources import Resources

#: Checks data of a kind as its convenience route does.
#:
#: Args:
#:     resources: of the gateway.
#:     data: as posted; may have the form of the route.
#:     priority: of the task.
#:     where: place of the data in the body of the request.
#:
#: Returns:
#:     The data as its contract describes it.
#:
#: Raises:
#:     RequestValidationError, Problem: it is refused.
DataCheck = Callable[["Resources", Mapping[str, Any], str, Sequence[str]], dict[str, Any]]


async def kind_in_use(resources: "Resources", name: str, field: str = "kind") -> Kind:
    """The kind of this name, which services handle.

    Raises:
        Problem: 422, there is no such kind, or no service handles it any more.
    """
    try:
        kind = await resources.kinds.kind(name)
    except UnknownKindError:
        message = "is not a registered kind"
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "unknown_kind",
            "There is no kind of this name. GET /v1/kinds lists them.",
            errors=[FieldError(field=field, message=message)],
        ) from None
    if not kind.services:
        raise kind_retired(name, field)
    return kind


def kind_retired(name: str, field: str = "kind") -> Problem:
    """The answer to a task of a kind that no service handles any more."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "kind_retired",
        f"No service handles {name} any more. GET /v1/kinds lists the kinds in use.",
        errors=[FieldError(field=field, message="is retired")],
    )
