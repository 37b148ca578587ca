"""The targets that syncs may name."""

from http import HTTPStatus

from waybill_gateway.http import FieldError, Problem
from waybill_gateway.runtime import Resources


def require_known_target(resources: Resources, target: str, field: str = "target") -> None:
    """Checks that a target is configured.

    Raises:
        Problem: 422, it is not.
    """
    known = resources.settings.sync_targets
    if target not in known:
        names = ", ".join(known) or "none is configured"
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "unknown_target",
            f"No target of this name is configured. Known targets: {names}.",
            errors=[FieldError(field=field, message=f"one of: {names}")],
        )
