"""Requests and answers about persons: they take addresses, and return only counts."""

from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from waybill_contracts.kinds import MAX_ADDRESS_LENGTH
from waybill_contracts.states import State
from waybill_gateway.http import Tenant, Text, Truth

#: Tasks of one step: other writes wait some ten milliseconds for the erasure of so many.
ERASE_STEP: Final = 50


class PersonQuery(BaseModel):
    """A person."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"address": "ann@example.com"}]},
    )

    address: Annotated[Text, Field(min_length=3, max_length=MAX_ADDRESS_LENGTH)] = Field(
        description="The whole mail address; upper and lower case do not matter. It is in the body because "
        "proxies log the addresses of requests."
    )
    tenant: Tenant | None = Field(None, description="Only the data of this tenant; of all tenants if absent.")


_CancelOpen = Annotated[
    Truth,
    Field(
        description="Also cancel the tasks that have no outcome yet. Tasks that have not begun are erased "
        "at once, the others when they have ended.",
    ),
]
_Erasure = Annotated[
    UUID | None, Field(description="`erasure` of the previous step, so that both are one erasure.")
]


class ErasePerson(PersonQuery):
    """A person to be erased: one short step."""

    cancel_open: _CancelOpen = False
    after: UUID | None = Field(None, description="`after` of the previous step; absent: the first step.")
    erasure: _Erasure = None


class EraseTasks(BaseModel):
    """Tasks about a person that are not found by an address."""

    model_config = ConfigDict(extra="forbid")

    tasks: Annotated[list[UUID], Field(min_length=1, max_length=ERASE_STEP)] = Field(
        description="Ids. Tasks that do not exist, or are already erased, are skipped."
    )
    cancel_open: _CancelOpen = False
    erasure: _Erasure = None


class ErasureStep(BaseModel):
    """The result of one step of an erasure."""

    erasure: UUID = Field(description="Its id in the audit trail, which does not name the person.")
    tasks: int = Field(description="Number of erased tasks.")
    letters: int
    schedules: int
    password_resets: int
    idempotency_keys: int
    open: dict[State, int] = Field(
        description="Tasks that were not erased because they have no outcome yet, by state."
    )
    after: UUID | None = Field(description="Where the next step begins; null: the erasure is complete.")


class PersonView(BaseModel):
    """The amount of data about a person, not the data."""

    tasks: dict[State, int] = Field(description="Number of tasks in each state.")
    open: int = Field(description="Tasks without an outcome, which cannot be erased yet.")
    letters: int = Field(description="Dead letters of these tasks, open and settled.")
    schedules: int
    password_resets: int = Field(description="Reset links, with used and expired ones.")
    idempotency_keys: int = Field(description="Idempotency keys of the posts of these tasks.")
    originals: int = Field(description="Uploaded files that these tasks refer to.")
