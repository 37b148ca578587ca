"""What all answers have."""

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from waybill_contracts.states import State

#: A state; one that a newer gateway has added is text.
StateOrText = Annotated[State | str, Field(union_mode="left_to_right")]
ItemT = TypeVar("ItemT", bound="Answered")


class Answered(BaseModel):
    """The base of all answers; fields that a newer gateway adds are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Page(Answered, Generic[ItemT]):
    """A page of a listing."""

    items: list[ItemT]
    #: For the next page; None: this is the last.
    next_cursor: str | None
