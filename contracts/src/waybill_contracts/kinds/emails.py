"""Mails to one address: `email.requested`."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from waybill_contracts.kinds.fields import (
    AcceptedAddress,
    Body,
    Category,
    MailAddress,
    Subject,
    UnsubscribeLink,
)
from waybill_contracts.kinds.mail_templates import TEMPLATE_PARAMS, TemplateName, TemplateParams
from waybill_contracts.kinds.task_event import SENSITIVE, Sensitive, TaskEvent, WhenUncertain


def _is_none(value: object) -> bool:
    return value is None


def _one_of_each_scheme(links: tuple[str, ...] | None) -> tuple[str, ...] | None:
    schemes = [link.partition(":")[0] for link in links or ()]
    if len(set(schemes)) != len(schemes):
        raise ValueError("give at most one https link and one mailto link")
    return links


class EmailRequested(TaskEvent):
    """A mail to one address: either with its own words, or from a template."""

    KIND = "email.requested"

    to: Annotated[MailAddress, Sensitive]
    subject: Annotated[Subject | None, Sensitive] = None
    text: Annotated[Body | None, Sensitive] = None
    html: Annotated[Body | None, Sensitive] = None
    category: Category | None = None
    template: TemplateName | None = Field(
        None, description="welcome, password_reset, ops_alert, ops_digest, or one of the installation's own."
    )
    params: dict[str, Any] = Field(default_factory=dict, max_length=50, json_schema_extra=SENSITIVE)
    if_uncertain: WhenUncertain = Field(
        WhenUncertain.RESEND,
        description="Should it stay unknown whether the mail server took the mail: `resend` it, which may "
        "bring it twice, or `park` it as a dead letter for a person to decide.",
    )

    # Left out where they say nothing, for they came later: so a service of the last release reads the event,
    # and a call that is repeated over an upgrade is still the same call.
    reply_to: Annotated[AcceptedAddress | None, Sensitive] = Field(
        None, exclude_if=_is_none, description="Where answers go, if not to the sender."
    )
    list_unsubscribe: Annotated[
        tuple[UnsubscribeLink, ...] | None, AfterValidator(_one_of_each_scheme), Sensitive
    ] = Field(
        None,
        max_length=2,
        exclude_if=_is_none,
        description="Where the receiver says that no more are wanted: an https link, a mailto link, or both. "
        "The https link takes a POST and asks nothing (RFC 8058). Mails of low priority need it; an empty "
        "list says that there is nothing to unsubscribe from.",
    )

    @property
    def when_uncertain(self) -> WhenUncertain:
        """The sender's choice."""
        return self.if_uncertain

    @property
    def person(self) -> str:
        """Whom it is sent to."""
        return self.to

    @model_validator(mode="after")
    def _words_or_template(self) -> Self:
        own_words = self.subject is not None or self.text is not None or self.html is not None
        if self.template is None:
            if self.params:
                raise ValueError("params belong to a template: name one, or leave them out")
            if self.subject is None or (self.text is None and self.html is None):
                raise ValueError("give subject and text or html, or a template with its params")
        else:
            if own_words:
                raise ValueError("a template brings its own subject, text and html: leave them out")
            # Those of the installation's own templates are checked by who knows them: gateway and service.
            if (contract := TEMPLATE_PARAMS.get(self.template)) is not None:
                check_template_params(contract, self.params)
        return self


def check_template_params(contract: type[TemplateParams], params: dict[str, Any]) -> None:
    """Checks the parameters for a template.

    Raises:
        ValidationError: they are not as it wants them; the location of each error begins with `params`.
    """
    try:
        contract.model_validate(params)
    except ValidationError as error:
        # Its errors name fields of params; the sender's document has them one level down.
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
