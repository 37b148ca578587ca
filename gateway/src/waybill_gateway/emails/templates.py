"""The mail templates that mails may name: Waybill's own, and those of the installation."""

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from waybill_contracts.events import Event
from waybill_contracts.kinds import TEMPLATE_PARAMS, EmailRequested, check_template_params
from waybill_gateway.runtime import Resources


def require_known_template(resources: Resources, event: Event, *where: str) -> None:
    """Checks the template of a mail and its parameters; the contract has already checked Waybill's own.

    Args:
        resources: the templates of the installation.
        event: a mail, or another event, which is not checked.
        where: the place of its fields in the body of the request.

    Raises:
        RequestValidationError: there is no such template, or its parameters are wrong.
    """
    if not isinstance(event, EmailRequested) or event.template is None or event.template in TEMPLATE_PARAMS:
        return
    contract = resources.own_templates.get(event.template)
    if contract is None:
        known = ", ".join(sorted({*TEMPLATE_PARAMS, *resources.own_templates}))
        raise RequestValidationError([{"loc": ("body", *where, "template"), "msg": f"one of: {known}"}])
    try:
        check_template_params(contract, event.params)
    except ValidationError as error:
        raise RequestValidationError(
            [line | {"loc": ("body", *where, *line["loc"])} for line in error.errors()]
        ) from None
