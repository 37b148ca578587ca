"""The targets that syncs may name."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from waybill_contracts.kinds import SyncRequested
from waybill_gateway.http import FieldError, Problem, validated
from waybill_gateway.runtime import Resources


def check_sync(
    resources: Resources, data: Mapping[str, Any], priority: str, where: Sequence[str]
) -> dict[str, Any]:
    """Checks a record as its own route does: see `DataCheck`."""
    del priority
    record = validated(SyncRequested, data, where)
    require_known_target(resources, record.target, field=".".join((*where, "target")))
    return record.model_dump(mode="json", exclude_unset=True)


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
