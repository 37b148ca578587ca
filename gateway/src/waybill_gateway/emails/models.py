"""What the API takes to send mails."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails

from waybill_contracts.events import SENSITIVE, Sensitive
from waybill_contracts.kinds import (
    AcceptedAddress,
    AcceptedBody,
    AcceptedSubject,
    EmailRequested,
    without_control_characters,
)
from waybill_gateway.http import validated_beside
from waybill_gateway.tasks import Timing, shown

_UNSUBSCRIBE_MISSING: Final = (
    "bulk mail (priority low) must say how to unsubscribe: "
    '["https://…", "mailto:…"], or [] where there is nothing to unsubscribe from'
)


def unsubscribe_faults(
    priority: object, list_unsubscribe: object, *where: str | int
) -> list[InitErrorDetails]:
    """The fault of bulk mail that does not say how to unsubscribe; mailboxes refuse such mail (RFC 8058).

    Args:
        priority: of the mail, not validated yet.
        list_unsubscribe: of the mail, not validated yet; None if it is absent.
        where: the place of the mail's fields.
    """
    if priority != "low" or list_unsubscribe is not None:
        return []
    return [_wrong((*where, "list_unsubscribe"), _UNSUBSCRIBE_MISSING)]


def _without_control(params: dict[str, Any]) -> dict[str, Any]:
    wrong = list(_wrong_texts(params, ()))
    if wrong:
        raise ValidationError.from_exception_data("params", wrong)
    return params


def _wrong_texts(value: Any, where: tuple[str | int, ...]) -> Iterator[InitErrorDetails]:
    if isinstance(value, str):
        try:
            without_control_characters(value)
        except ValueError as error:
            yield _wrong(where, str(error))
        return
    items = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    for name, each in items:
        yield from _wrong_texts(each, (*where, name))


def _wrong(where: tuple[str | int, ...], words: str) -> InitErrorDetails:
    # Without the value, which may be private.
    return InitErrorDetails(type="value_error", loc=where, input=None, ctx={"error": ValueError(words)})


class EmailFields(EmailRequested):
    """A mail as callers may write it: stricter than the contract, which also reads older mails."""

    to: Annotated[AcceptedAddress, Sensitive]
    subject: Annotated[AcceptedSubject | None, Sensitive] = None
    text: Annotated[AcceptedBody | None, Sensitive] = None
    html: Annotated[AcceptedBody | None, Sensitive] = None
    params: Annotated[dict[str, Any], AfterValidator(_without_control)] = Field(
        default_factory=dict, max_length=50, json_schema_extra=SENSITIVE
    )


class PostEmail(EmailFields, Timing):
    """A mail: `{to, subject, text?, html?, category?}` or `{to, template, params}`.

    Both take `reply_to` and `list_unsubscribe`. Bulk mail (`priority` low) needs the latter.
    """

    model_config = shown(
        {"to": "ada@example.com", "subject": "Your order", "text": "It is on its way.", "category": "orders"},
        {"to": "ada@example.com", "template": "welcome", "params": {"name": "Ada"}, "delay_seconds": 60},
        {
            "to": "ada@example.com",
            "subject": "What is new",
            "html": "<p>A good deal.</p>",
            "reply_to": "team@example.com",
            "list_unsubscribe": ["https://example.com/unsubscribe/17", "mailto:unsubscribe@example.com"],
            "priority": "low",
        },
    )

    @model_validator(mode="wrap")
    @classmethod
    def _bulk_mail_can_be_unsubscribed_from(
        cls, data: Any, validate: ModelWrapValidatorHandler[Self]
    ) -> Self:
        given = data if isinstance(data, dict) else {}
        faults = unsubscribe_faults(given.get("priority"), given.get("list_unsubscribe"))
        return validated_beside(faults, validate, data)
