"""The task events: past-tense facts that carry the work to the services.

An event is immutable, refuses unknown fields, and holds its own limits. `KIND` is its CloudEvents type and
the routing key; `VERSION` rises with every change that an older reader could not take.
"""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from contracts.fields import (
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
)
from contracts.images import PRESET_NAMES, PresetName
from contracts.templates import TEMPLATE_PARAMS, TemplateName

#: Fields that callers add to a record; more than this is a document, not a record.
MAX_RECORD_FIELDS = 200
#: Marks a field that must not outlive its use: the ledger forgets the payload when the task is completed.
SENSITIVE: dict[str, Any] = {"sensitive": True}


class WhenUncertain(StrEnum):
    """What is to be done when an effect may have happened, and no repeat of it can be told apart."""

    #: Do it again: rather twice than not at all.
    RESEND = "resend"
    #: Leave it to a person: rather not at all than twice.
    PARK = "park"


class TaskEvent(BaseModel):
    """The base of all task events."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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

    @classmethod
    def sensitive_fields(cls) -> frozenset[str]:
        """The fields that are marked `SENSITIVE`."""
        return frozenset(
            name
            for name, field in cls.model_fields.items()
            if isinstance(extra := field.json_schema_extra, dict) and extra.get("sensitive") is True
        )

    @classmethod
    def is_sensitive(cls) -> bool:
        """Whether any field is."""
        return bool(cls.sensitive_fields())


class EmailRequested(TaskEvent):
    """A mail to one address: either with its own words, or from a template."""

    KIND = "email.requested"

    to: MailAddress
    subject: Subject | None = None
    text: Body | None = None
    html: Body | None = None
    category: Category | None = None
    template: TemplateName | None = None
    params: dict[str, Any] = Field(default_factory=dict, max_length=50)
    if_uncertain: WhenUncertain = Field(
        WhenUncertain.RESEND,
        description="Should it stay unknown whether the mail server took the mail: `resend` it, which may "
        "bring it twice, or `park` it as a dead letter for a person to decide.",
    )

    @property
    def when_uncertain(self) -> WhenUncertain:
        """The sender's choice."""
        return self.if_uncertain

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
            _check_params(self.template, self.params)
        return self


def _check_params(template: TemplateName, params: dict[str, Any]) -> None:
    try:
        TEMPLATE_PARAMS[template].model_validate(params)
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

    email: MailAddress
    link: Annotated[Link, Field(json_schema_extra=SENSITIVE)]
    expires_at: AwareDatetime


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
    email: MailAddress
    name: PersonName
    attributes: dict[str, Any] = Field(default_factory=dict, max_length=MAX_RECORD_FIELDS)


class SyncRequested(TaskEvent):
    """A record that is to be written to a configured external system."""

    KIND = "sync.requested"

    target: TargetName
    resource: ResourceName
    id: RecordId
    data: Annotated[dict[str, Any], Field(max_length=MAX_RECORD_FIELDS)]
