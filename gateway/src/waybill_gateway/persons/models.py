"""What the API takes and gives about persons: addresses go in, and nothing about a person comes out."""

from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from waybill_contracts.kinds.fields import MAX_ADDRESS_LENGTH
from waybill_contracts.wire.states import State
from waybill_gateway.http.fields import Tenant, Text, Truth

#: Tasks that one step looks at: others wait no longer than erasing so many takes, some ten milliseconds.
ERASE_STEP: Final = 50


class PersonQuery(BaseModel):
    """A person."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"address": "ann@example.com"}]},
    )

    address: Annotated[Text, Field(min_length=3, max_length=MAX_ADDRESS_LENGTH)] = Field(
        description="The whole mail address; capitals do not matter. It is in the body, for addresses of "
        "requests are logged on their way."
    )
    tenant: Tenant | None = Field(None, description="Only what this tenant has; everybody's if absent.")


_CancelOpen = Annotated[
    Truth,
    Field(
        description="Also calls off the tasks that have no outcome yet. What has not begun is erased at "
        "once, the rest once it has ended.",
    ),
]
_Erasure = Annotated[UUID | None, Field(description="`erasure` of the step before, so that they are one.")]


class ErasePerson(PersonQuery):
    """A person who is to be erased: one short step of it."""

    cancel_open: _CancelOpen = False
    after: UUID | None = Field(None, description="`after` of the step before; none: begin.")
    erasure: _Erasure = None


class EraseTasks(BaseModel):
    """Tasks that are about a person, though nobody knows it by the address."""

    model_config = ConfigDict(extra="forbid")

    tasks: Annotated[list[UUID], Field(min_length=1, max_length=ERASE_STEP)] = Field(
        description="Ids. Those that are not here, or were erased before, are passed over."
    )
    cancel_open: _CancelOpen = False
    erasure: _Erasure = None


class ErasureStep(BaseModel):
    """What one step of an erasure came to."""

    erasure: UUID = Field(description="Its name in the audit trail; it tells nobody whose it was.")
    tasks: int = Field(description="How many tasks were erased.")
    letters: int
    schedules: int
    password_resets: int
    idempotency_keys: int
    open: dict[State, int] = Field(
        description="Tasks that were left as they are, for they have no outcome yet, by state."
    )
    after: UUID | None = Field(description="Where the next step begins; null: there is nothing more.")


class PersonView(BaseModel):
    """How much is held of a person; nothing of it is shown."""

    tasks: dict[State, int] = Field(description="How many tasks are in each state.")
    open: int = Field(description="Those of them that have no outcome yet, and cannot be erased before.")
    letters: int = Field(description="Dead letters of these tasks, open and settled ones.")
    schedules: int
    password_resets: int = Field(description="Reset links, used ones and those that ran out included.")
    idempotency_keys: int = Field(description="Idempotency keys that these tasks were posted with.")
    originals: int = Field(description="Uploaded files that these tasks refer to.")
