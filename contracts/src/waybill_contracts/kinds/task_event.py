"""The base of all task events: past-tense facts that carry the work to the services.

An event is immutable, refuses unknown fields, and states its own limits. `KIND` is its CloudEvents type and
the routing key; `VERSION` rises with every change that an older reader could not take.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

#: Marks a field with personal data or a text that a person wrote: it is sealed wherever it is stored or sent
#: (`waybill_contracts.privacy.seal`), and masked in logs and errors (`waybill_contracts.privacy.mask`).
SENSITIVE: dict[str, Any] = {"sensitive": True}
#: Marks a sensitive field that must not outlive its use: the ledger deletes the payload of a completed task.
SECRET: dict[str, Any] = SENSITIVE | {"secret": True}
Sensitive = Field(json_schema_extra=SENSITIVE)


class WhenUncertain(StrEnum):
    """What to do when an effect may have happened, and the receiver cannot recognise a repeat."""

    #: Do it again: twice is better than not at all.
    RESEND = "resend"
    #: Let a person decide: not at all is better than twice.
    PARK = "park"


class TaskEvent(BaseModel):
    """The base of all task events."""

    # An error that quotes its input would write it to logs and records.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    KIND: ClassVar[str]
    VERSION: ClassVar[int] = 1

    @classmethod
    def dataschema(cls) -> str:
        """The CloudEvents `dataschema`: the contract and version of this event."""
        return f"urn:waybill:{cls.KIND}:v{cls.VERSION}"

    @classmethod
    def of_posted(cls, body: Mapping[str, Any], task_id: str) -> Self:  # noqa: ARG003 - for kinds that need it
        """Event of a body as it is posted to the route of the kind.

        Args:
            body: JSON object.
            task_id: id of the task that is made from the event.

        Raises:
            ValidationError: the contract does not allow the body.
        """
        return cls.model_validate(body)

    @property
    def when_uncertain(self) -> WhenUncertain:
        """What to do when the effect of this event may have happened."""
        return WhenUncertain.RESEND

    @property
    def stored_files(self) -> tuple[str, ...]:
        """Keys of the files in the object store that the event needs; they are kept as long as its task."""
        return ()

    @property
    def person(self) -> str | None:
        """Mail address of the person that the task is about; None if there is no such person."""
        return None

    @classmethod
    @cache
    def sensitive_fields(cls) -> frozenset[str]:
        """The fields that are marked `SENSITIVE` or `SECRET`."""
        return _marked(cls, "sensitive")

    @classmethod
    def is_sensitive(cls) -> bool:
        """Whether any field is marked `SENSITIVE` or `SECRET`."""
        return bool(cls.sensitive_fields())

    @classmethod
    @cache
    def secret_fields(cls) -> frozenset[str]:
        """The fields that are marked `SECRET`."""
        return _marked(cls, "secret")

    @classmethod
    def holds_secrets(cls) -> bool:
        """Whether any field is marked `SECRET`."""
        return bool(cls.secret_fields())


def _marked(event: type[TaskEvent], mark: str) -> frozenset[str]:
    return frozenset(
        name
        for name, field in event.model_fields.items()
        if isinstance(extra := field.json_schema_extra, dict) and extra.get(mark) is True
    )
