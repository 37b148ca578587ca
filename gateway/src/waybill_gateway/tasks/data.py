"""Data of tasks that come over the general routes: checked by the contract of their kind."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError

from waybill_contracts.registry import Contract
from waybill_gateway.runtime import Resources
from waybill_ledger import new_task_id


def checked_data(
    resources: Resources,
    contract: Contract,
    data: Mapping[str, Any],
    priority: str,
    where: Sequence[str],
) -> dict[str, Any]:
    """Data as its contract describes it.

    Args:
        resources: know what the route of a built-in kind demands.
        contract: of the data.
        data: as posted.
        priority: of the task.
        where: place of the data in the body of the request.

    Raises:
        RequestValidationError, Problem: the data is refused; each fault is named, without its value.
    """
    check = resources.checks.get(contract.kind)
    if check is not None:
        return check(resources, data, priority, where)
    # With any id: the task has none yet.
    faults = contract.faults(contract.completed(data, new_task_id()))
    if faults:
        raise RequestValidationError(
            [{"loc": ("body", *where, *fault.path), "msg": fault.message} for fault in faults]
        )
    return dict(data)
