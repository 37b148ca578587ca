"""Kinds that tasks can be made of."""

from http import HTTPStatus

from waybill_contracts.registry import Kind, UnknownKindError
from waybill_gateway.http import FieldError, Problem
from waybill_ledger.registry import RegistryCopy


async def kind_in_use(kinds: RegistryCopy, name: str, field: str = "kind") -> Kind:
    """The kind of this name, which services handle.

    Raises:
        Problem: 422, there is no such kind, or no service handles it any more.
    """
    try:
        kind = await kinds.kind(name)
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
