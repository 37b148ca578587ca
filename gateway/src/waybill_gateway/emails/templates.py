"""Checks of mails: their form, and the templates that they may name."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from waybill_contracts.kinds import TEMPLATE_PARAMS, EmailRequested, check_template_params
from waybill_gateway.emails.models import EmailFields, unsubscribe_faults
from waybill_gateway.http import validated
from waybill_gateway.runtime import Resources


def check_email(
    resources: Resources, data: Mapping[str, Any], priority: str, where: Sequence[str]
) -> dict[str, Any]:
    """Checks a mail as its own route does: see `DataCheck`."""
    faults = unsubscribe_faults(priority, data.get("list_unsubscribe"))
    mail = validated(EmailFields, data, where, faults)
    require_known_template(resources, mail, *where)
    return mail.model_dump(mode="json", exclude_unset=True)


def require_known_template(resources: Resources, mail: EmailRequested, *where: str) -> None:
    """Checks the template of a mail and its parameters; the contract has already checked Waybill's own.

    Args:
        resources: the templates of the installation.
        mail: the mail.
        where: the place of its fields in the body of the request.

    Raises:
        RequestValidationError: there is no such template, or its parameters are wrong.
    """
    if mail.template is None or mail.template in TEMPLATE_PARAMS:
        return
    contract = resources.own_templates.get(mail.template)
    if contract is None:
        known = ", ".join(sorted({*TEMPLATE_PARAMS, *resources.own_templates}))
        raise RequestValidationError([{"loc": ("body", *where, "template"), "msg": f"one of: {known}"}])
    try:
        check_template_params(contract, mail.params)
    except ValidationError as error:
        raise RequestValidationError(
            [line | {"loc": ("body", *where, *line["loc"])} for line in error.errors()]
        ) from None
