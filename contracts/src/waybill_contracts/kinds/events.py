"""The task events: past-tense facts that carry the work to the services.

An event is immutable, refuses unknown fields, and holds its own limits. `KIND` is its CloudEvents type and
the routing key; `VERSION` rises with every change that an older reader could not take.
"""

from enum import StrEnum
from functools import cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails

from waybill_contracts.images.formats import PRESET_NAMES, PresetName
from waybill_contracts.kinds.fields import (
    AcceptedAddress,
    Body,
    Category,
    Link,
    MailAddress,
    PersonName,
    RecordId,
    ResourceName,
    Sha256,
    Subject,
    TargetName,
    UnsubscribeLink,
)
from waybill_contracts.kinds.mail_templates import TEMPLATE_PARAMS, TemplateName, TemplateParams

#: Fields that callers add to a record; more than this is a document, not a record.
MAX_RECORD_FIELDS = 200
#: Marks a field about a person, or with what a person wrote: it is sealed wherever it is kept and sent
#: (`waybill_contracts.privacy.sealing`), and masked in logs and errors (`waybill_contracts.privacy.masking`).
SENSITIVE: dict[str, Any] = {"sensitive": True}
#: The same, and it must not outlive its use: the ledger forgets the payload when the task is completed.
SECRET: dict[str, Any] = SENSITIVE | {"secret": True}
Sensitive = Field(json_schema_extra=SENSITIVE)


class WhenUncertain(StrEnum):
    """What is to be done when an effect may have happened, and no repeat of it can be told apart."""

    #: Do it again: rather twice than not at all.
    RESEND = "resend"
    #: Leave it to a person: rather not at all than twice.
    PARK = "park"


class TaskEvent(BaseModel):
    """The base of all task events."""

    # Errors that tell what was given would tell it to logs and records.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    KIND: ClassVar[str]
    VERSION: ClassVar[int] = 1

    @classmethod
    def dataschema(cls) -> str:
        """The CloudEvents `dataschema`: names the contract and version that this event follows."""
        return f"urn:waybill:{cls.KIND}:v{cls.VERSION}"

    @property
    def when_uncertain(self) -> WhenUncertain:
        """What this event asks for when its effect may have happened."""
        return WhenUncertain.RESEND

    @property
    def stored_files(self) -> tuple[str, ...]:
        """Keys of the files in the object store that it needs, and that are kept as long as its task."""
        return ()

    @property
    def person(self) -> str | None:
        """The mail address of the person whom the task is about; None where it is about none."""
        return None

    @classmethod
    @cache
    def sensitive_fields(cls) -> frozenset[str]:
        """The fields that are marked `SENSITIVE` or `SECRET`."""
        return _marked(cls, "sensitive")

    @classmethod
    def is_sensitive(cls) -> bool:
        """Whether any field is."""
        return bool(cls.sensitive_fields())

    @classmethod
    @cache
    def secret_fields(cls) -> frozenset[str]:
        """The fields that are marked `SECRET`."""
        return _marked(cls, "secret")

    @classmethod
    def holds_secrets(cls) -> bool:
        """Whether any field is."""
        return bool(cls.secret_fields())


def _marked(event: type[TaskEvent], mark: str) -> frozenset[str]:
    return frozenset(
        name
        for name, field in event.model_fields.items()
        if isinstance(extra := field.json_schema_extra, dict) and extra.get(mark) is True
    )


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
                check_params(contract, self.params)
        return self


def check_params(contract: type[TemplateParams], params: dict[str, Any]) -> None:
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


class PasswordResetRequested(TaskEvent):
    """A reset link to be mailed; the link holds the token, of which we keep only the hash."""

    KIND = "password_reset.requested"

    email: Annotated[MailAddress, Sensitive]
    link: Annotated[Link, Field(json_schema_extra=SECRET)]
    expires_at: AwareDatetime

    @property
    def person(self) -> str:
        """Whose password it is."""
        return self.email


class ImageUploaded(TaskEvent):
    """An image in the object store, checked at upload, whose variants are wanted."""

    KIND = "image.uploaded"

    source_key: Annotated[str, Field(min_length=1, max_length=255)]
    sha256: Sha256
    content_type: Annotated[str, Field(max_length=100)]
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    size_bytes: Annotated[int, Field(gt=0)]
    variants: Annotated[tuple[PresetName, ...], Field(min_length=1, max_length=len(PRESET_NAMES))]

    @property
    def stored_files(self) -> tuple[str, ...]:
        """The original."""
        return (self.source_key,)


class UserCreated(TaskEvent):
    """A new user of the application: gets a welcome mail, and a record in the configured target."""

    KIND = "user.created"

    user_id: RecordId
    email: Annotated[MailAddress, Sensitive]
    name: Annotated[PersonName, Sensitive]
    attributes: dict[str, Any] = Field(
        default_factory=dict, max_length=MAX_RECORD_FIELDS, json_schema_extra=SENSITIVE
    )

    @property
    def person(self) -> str:
        """The user."""
        return self.email


class SyncRequested(TaskEvent):
    """A record that is to be written to a configured external system."""

    KIND = "sync.requested"

    target: TargetName
    resource: ResourceName
    id: RecordId
    data: Annotated[dict[str, Any], Field(max_length=MAX_RECORD_FIELDS, json_schema_extra=SENSITIVE)]
