"""Listings in pages: their cursors belong to one listing, and to what was asked of it."""

import base64
import hashlib
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from waybill_gateway.http.fields import MAX_PAGE_SIZE, PAGE_SIZE, Text
from waybill_gateway.http.problems import FieldError, Problem
from waybill_ledger import BadCursorError

Result = TypeVar("Result")

#: Bytes of the mark that tells listings and filters apart: nobody is kept from anything by it.
_MARK_BYTES: Final = 6
_BETWEEN: Final = "."


class Paged(BaseModel):
    """Which page of a listing is wanted; its other fields are the listing's filters."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(PAGE_SIZE, ge=1, le=MAX_PAGE_SIZE)
    cursor: Annotated[Text, Field(max_length=500)] | None = Field(
        None, description="`next_cursor` of the page before, which was asked for with the same filters."
    )

    def place(self, listing: str) -> str | None:
        """Where the page begins, in the ledger's words; None: it is the first one.

        Args:
            listing: its name, and whatever else than the filters tells it from others.

        Raises:
            Problem: 422, the cursor comes from another listing or other filters, or from nowhere.
        """
        if self.cursor is None:
            return None
        mark, between, place = self.cursor.partition(_BETWEEN)
        if not between:
            raise bad_cursor("cursor is none that a listing gave out")
        if mark != self._mark(listing):
            raise bad_cursor("cursor is of another listing, or was given out for other filters")
        return place

    def continued(self, listing: str, place: str | None) -> str | None:
        """The cursor of the next page of the same listing, which begins at `place`; None: there is none."""
        return None if place is None else f"{self._mark(listing)}{_BETWEEN}{place}"

    def _mark(self, listing: str) -> str:
        asked = self.model_dump_json(exclude={"limit", "cursor"}, exclude_none=True)
        digest = hashlib.sha256(f"{listing} {asked}".encode()).digest()
        return base64.urlsafe_b64encode(digest[:_MARK_BYTES]).decode()


async def page_or_problem(page: Awaitable[Result]) -> Result:
    """A page of a listing.

    Raises:
        Problem: 422, the cursor is none of ours.
    """
    try:
        return await page
    except BadCursorError as error:
        raise bad_cursor(str(error)) from error


def bad_cursor(message: str) -> Problem:
    """The answer to a cursor that the listing did not give out."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "bad_cursor",
        f"{message}. Begin again without a cursor.",
        errors=[FieldError(field="cursor", message=message)],
    )
