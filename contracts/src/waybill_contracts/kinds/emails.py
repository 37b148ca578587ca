"""Mails to one address: `email.requested`."""

from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from waybill_contracts.events import SENSITIVE, Event, Person, Sensitive, WhenUncertain
from waybill_contracts.kinds.fields import (
    AcceptedAddress,
    Body,
    Category,
    MailAddress,
    Subject,
    UnsubscribeLink,
)
from waybill_contracts.kinds.mail_templates import TEMPLATE_PARAMS, TemplateName, TemplateParams


def _is_none(value: object) -> bool:
    return value is None


def _one_of_each_scheme(links: tuple[str, ...] | None) -> tuple[str, ...] | None:
    schemes = [link.partition(":")[0] for link in links or ()]
    if len(set(schemes)) != len(schemes):
        raise ValueError("give at most one https link and one mailto link")
    return links


def _given(*names: str) -> dict[str, Any]:
    """JSON Schema: these fields are there, and are texts."""
    return {"required": list(names), "properties": {name: {"type": "string"} for name in names}}


def _omitted(*names: str) -> dict[str, Any]:
    """JSON Schema: these fields are absent or null."""
    return {"properties": {name: {"type": "null"} for name in names}}


#: What the validator of the model checks, for those who have only the JSON Schema.
_TEXT_OR_TEMPLATE: Final[dict[str, Any]] = {
    "anyOf": [
        {"allOf": [_given("template"), _omitted("subject", "text", "html")]},
        {
            "allOf": [_given("subject"), _omitted("template")],
            "properties": {"params": {"maxProperties": 0}},
            "anyOf": [_given("text"), _given("html")],
        },
    ]
}


class EmailRequested(Event, kind="email.requested"):
    """A mail to one address, with its own text or from a template."""

    model_config = ConfigDict(json_schema_extra=_TEXT_OR_TEMPLATE)

    to: Annotated[MailAddress, Sensitive, Person]
    subject: Annotated[Subject | None, Sensitive] = None
    text: Annotated[Body | None, Sensitive] = None
    html: Annotated[Body | None, Sensitive] = None
    category: Category | None = None
    # Defaults by name: without it pyright takes the field for a required one.
    template: TemplateName | None = Field(
        default=None,
        description="welcome, password_reset, ops_alert, ops_digest, or one of the installation's own.",
    )
    params: dict[str, Any] = Field(default_factory=dict, max_length=50, json_schema_extra=SENSITIVE)
    if_uncertain: WhenUncertain = Field(
        default=WhenUncertain.RESEND,
        description="What to do if it stays unknown whether the mail server accepted the mail: `resend` it, "
        "which may deliver it twice, or `park` it as a dead letter for a person to decide.",
    )

    # Omitted when None, as they were added later: a service of the last release can then read the event, and
    # a call repeated after an upgrade has the same content.
    reply_to: Annotated[AcceptedAddress | None, Sensitive] = Field(
        default=None,
        exclude_if=_is_none,
        description="Address for replies; without it they go to the sender.",
    )
    list_unsubscribe: Annotated[
        tuple[UnsubscribeLink, ...] | None, AfterValidator(_one_of_each_scheme), Sensitive
    ] = Field(
        default=None,
        max_length=2,
        exclude_if=_is_none,
        description="Links to unsubscribe: an https link, a mailto link, or both. The https link must accept "
        "a POST without further questions (RFC 8058). Mails of low priority need it; an empty list says "
        "that there is nothing to unsubscribe from.",
    )

    @property
    def when_uncertain(self) -> WhenUncertain:
        """The sender's choice."""
        return self.if_uncertain

    @model_validator(mode="after")
    def _text_or_template(self) -> Self:
        own_text = self.subject is not None or self.text is not None or self.html is not None
        if self.template is None:
            if self.params:
                raise ValueError("params need a template: name one, or omit params")
            if self.subject is None or (self.text is None and self.html is None):
                raise ValueError("give subject and text or html, or a template with its params")
        else:
            if own_text:
                raise ValueError("a template has its own subject, text and html: omit them")
            # Gateway and service check those of an installation's own templates, which only they know.
            if (contract := TEMPLATE_PARAMS.get(self.template)) is not None:
                check_template_params(contract, self.params)
        return self


#: Kind of the mails to the operators of an installation.
OPERATOR_MAIL: Final = EmailRequested.KIND


def operator_mail(address: str, template: str, params: dict[str, Any]) -> EmailRequested:
    """A mail from a template to the operators of an installation.

    Raises:
        ValidationError: the parameters are not those of the template.
    """
    return EmailRequested.model_validate({"to": address, "template": template, "params": params})


def check_template_params(contract: type[TemplateParams], params: dict[str, Any]) -> None:
    """Checks the parameters for a template.

    Raises:
        ValidationError: they break the contract; the location of each error begins with `params`.
    """
    try:
        contract.model_validate(params)
    except ValidationError as error:
        # The errors name fields of params; in the document of the sender they are one level deeper.
        raise ValidationError.from_exception_data(
            error.title,
            [
                InitErrorDetails(
                    type=line["type"],
                    loc=("params", *line["loc"]),
                    input=line["input"],
                    ctx=line.get("ctx", {}),
                )
                for line in error.errors()
            ],
        ) from None
