"""The base of all events: past-tense facts that carry the work to the services.

An event is immutable, refuses unknown fields, and states its own limits. Its kind is its CloudEvents type;
its version rises with every change that an older reader could not take. Its JSON Schema is the contract:
the marks of its fields are keywords in it, so that the core can work with events that it has no class of.
"""

from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from waybill_contracts.events.marks import fields_marked

#: Marks a field with personal data or a text that a person wrote: it is sealed wherever it is stored or sent
#: (`waybill_contracts.privacy.seal`), and masked in logs and errors (`waybill_contracts.privacy.mask`).
SENSITIVE: Final[dict[str, Any]] = {"sensitive": True}
#: Marks a sensitive field that must not outlive its use: the ledger deletes the payload of a completed task.
SECRET: Final[dict[str, Any]] = SENSITIVE | {"secret": True}
#: Marks the mail address of the person that the task is about, by which the person's tasks are found.
PERSON: Final[dict[str, Any]] = {"person": True}
#: Marks the key of a stored file that the task needs: the file is kept as long as the task.
FILE: Final[dict[str, Any]] = {"file": True}
#: Marks a text that is the id of the task where the sender gives none.
TASK_ID: Final[dict[str, Any]] = {"task_id": True}

Sensitive = Field(json_schema_extra=SENSITIVE)
Secret = Field(json_schema_extra=SECRET)
Person = Field(json_schema_extra=PERSON)
File = Field(json_schema_extra=FILE)
TaskId = Field(json_schema_extra=TASK_ID)


class WhenUncertain(StrEnum):
    """What to do when an effect may have happened, and the receiver cannot recognise a repeat."""

    #: Do it again: twice is better than not at all.
    RESEND = "resend"
    #: Let a person decide: not at all is better than twice.
    PARK = "park"


class Event(BaseModel):
    """The base of all events.

        class InvoiceRequested(Event, kind="invoice.requested", about="order {order_id}"):
            order_id: str
            email: Annotated[str, Sensitive, Person]

    Args:
        kind: type of the event: words of small letters and digits, joined by `.`, `_` or `-`.
        version: of the contract, from 1.
        about: subject of its tasks, for people who read listings; `{name}` stands for the field of that name,
            which must not be sensitive. Without it: the mail address of the person, masked.
    """

    # An error that quotes its input would write it to logs and records.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    KIND: ClassVar[str]
    VERSION: ClassVar[int] = 1
    ABOUT: ClassVar[str | None] = None

    def __init_subclass__(
        cls, kind: str | None = None, version: int = 1, about: str | None = None, **options: Any
    ) -> None:
        """Takes kind, version and subject; a class without a kind is another form of its base."""
        super().__init_subclass__(**options)
        if kind is not None:
            cls.KIND, cls.VERSION, cls.ABOUT = kind, version, about

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The schema of the data, with the subject."""
        made = handler.resolve_ref_schema(handler(schema))
        if cls.__dict__.get("ABOUT") is not None:
            made["about"] = cls.ABOUT
        return made

    @classmethod
    def dataschema(cls) -> str:
        """The CloudEvents `dataschema`: the contract and version of this event."""
        return f"urn:waybill:{cls.KIND}:v{cls.VERSION}"

    def event_data(self) -> dict[str, Any]:
        """The data as it is stored and sent, not sealed: JSON without what is left at its default."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def when_uncertain(self) -> WhenUncertain:
        """What to do when the effect of this event may have happened."""
        return WhenUncertain.RESEND

    @classmethod
    @cache
    def sensitive_fields(cls) -> frozenset[str]:
        """The fields that are marked `SENSITIVE` or `SECRET`, or in which something is."""
        return fields_marked(cls.model_json_schema(), "sensitive") | cls.secret_fields()

    @classmethod
    def is_sensitive(cls) -> bool:
        """Whether any field is marked `SENSITIVE` or `SECRET`."""
        return bool(cls.sensitive_fields())

    @classmethod
    @cache
    def secret_fields(cls) -> frozenset[str]:
        """The fields that are marked `SECRET`, or in which something is."""
        return fields_marked(cls.model_json_schema(), "secret")

    @classmethod
    def holds_secrets(cls) -> bool:
        """Whether any field is marked `SECRET`."""
        return bool(cls.secret_fields())
