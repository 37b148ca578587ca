"""Manifests as they are sent: read strictly, each fault named by its place."""

from http import HTTPStatus
from typing import Any, Final

from pydantic import ValidationError

from waybill_contracts.registry import DataFault, Manifest
from waybill_gateway.http import FieldError, Problem, parse_json

#: Faults that are listed.
_MOST_LISTED: Final = 50
#: How OpenAPI describes the body; `docs` adds the schema.
MANIFEST_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Manifest"}}},
    }
}


def manifest_in(body: bytes, name: str) -> Manifest:
    """The manifest of a service in the body of a request.

    Args:
        body: JSON.
        name: of the service, in the path.

    Raises:
        Problem: 400, it is no JSON; 422, it is no manifest, or that of another service.
    """
    parse_json(body)
    try:
        manifest = Manifest.model_validate_json(body, strict=True)
    except ValidationError as error:
        # Without what was sent: a schema may quote private values.
        faults = error.errors(include_input=False, include_url=False)
        raise _malformed(
            [
                FieldError(
                    field=DataFault(tuple(fault["loc"]), "").pointer[:200],
                    message=str(fault["msg"]).removeprefix("Value error, "),
                )
                for fault in faults
            ]
        ) from None
    if manifest.service != name:
        raise _malformed([FieldError(field="/service", message=f"must be {name}, as the path says")])
    return manifest


def refused(manifest: Manifest, refusals: tuple[str, ...]) -> Problem:
    """The answer to a manifest that contradicts what is registered or in use."""
    number = "One difference forbids" if len(refusals) == 1 else f"{len(refusals)} differences forbid"
    return Problem(
        HTTPStatus.CONFLICT,
        "registration_refused",
        f"{number} this release of {manifest.service}; nothing was changed. See errors.",
        errors=[
            FieldError(field=_place_of(manifest, each), message=each) for each in refusals[:_MOST_LISTED]
        ],
    )


def _place_of(manifest: Manifest, refusal: str) -> str:
    """Where in the manifest the refusal has its cause, as a JSON Pointer."""
    kind = refusal.partition(" ")[0].rstrip(":")
    for number, handled in enumerate(manifest.handles):
        if handled.kind == kind:
            return f"/handles/{number}"
    return "/service" if kind == manifest.service else "/handles"


def _malformed(errors: list[FieldError]) -> Problem:
    listed = "" if len(errors) <= _MOST_LISTED else f" The first {_MOST_LISTED} are listed."
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request",
        f"{len(errors)} field(s) of the manifest are wrong; see errors.{listed}",
        errors=errors[:_MOST_LISTED],
    )
