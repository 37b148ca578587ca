"""What the API takes to send mails."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from contracts.events import SENSITIVE, EmailRequested, Sensitive
from contracts.fields import AcceptedAddress, AcceptedBody, AcceptedSubject, without_control
from gateway.models import Timing, shown


def _without_control(params: dict[str, Any]) -> dict[str, Any]:
    wrong = list(_wrong_texts(params, ()))
    if wrong:
        raise ValidationError.from_exception_data("params", wrong)
    return params


def _wrong_texts(value: Any, where: tuple[str | int, ...]) -> Iterator[InitErrorDetails]:
    if isinstance(value, str):
        try:
            without_control(value)
        except ValueError as error:
            yield InitErrorDetails(
                type=PydanticCustomError("control_character", "{words}", {"words": str(error)}),
                loc=where,
                input=value,
            )
        return
    items = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    for name, each in items:
        yield from _wrong_texts(each, (*where, name))


class EmailFields(EmailRequested):
    """A mail as its callers may write it: the contract's, without what no server should be sent."""

    to: Annotated[AcceptedAddress, Sensitive]
    subject: Annotated[AcceptedSubject | None, Sensitive] = None
    text: Annotated[AcceptedBody | None, Sensitive] = None
    html: Annotated[AcceptedBody | None, Sensitive] = None
    params: Annotated[dict[str, Any], AfterValidator(_without_control)] = Field(
        default_factory=dict, max_length=50, json_schema_extra=SENSITIVE
    )


class PostEmail(EmailFields, Timing):
    """A mail: `{to, subject, text?, html?, category?}` or `{to, template, params}`."""

    model_config = shown(
        {"to": "ada@example.com", "subject": "Your order", "text": "It is on its way.", "category": "orders"},
        {"to": "ada@example.com", "template": "welcome", "params": {"name": "Ada"}, "delay_seconds": 60},
    )
