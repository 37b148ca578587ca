"""Listings in pages: a cursor is valid for one listing with its filters only."""

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

#: Bytes of the mark that identifies listing and filters. It protects against mistakes, not against attacks.
_MARK_BYTES: Final = 6
_BETWEEN: Final = "."


class Paged(BaseModel):
    """The page of a listing; the other fields are the filters of the listing."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(PAGE_SIZE, ge=1, le=MAX_PAGE_SIZE)
    cursor: Annotated[Text, Field(max_length=500)] | None = Field(
        None, description="`next_cursor` of the previous page, which had the same filters."
    )

    def place(self, listing: str) -> str | None:
        """The place where the page begins, as the ledger wrote it; None for the first page.

        Args:
            listing: its name, with all beside the filters that identifies it.

        Raises:
            Problem: 422, the cursor comes from another listing or other filters, or from no listing.
        """
        if self.cursor is None:
            return None
        mark, between, place = self.cursor.partition(_BETWEEN)
        if not between:
            raise bad_cursor("the cursor is none that a listing gave")
        if mark != self._mark(listing):
            raise bad_cursor("the cursor is of another listing, or of other filters")
        return place

    def continued(self, listing: str, place: str | None) -> str | None:
        """The cursor of the next page of the listing, which begins at `place`; None after the last page."""
        return None if place is None else f"{self._mark(listing)}{_BETWEEN}{place}"

    def _mark(self, listing: str) -> str:
        asked = self.model_dump_json(exclude={"limit", "cursor"}, exclude_none=True)
        digest = hashlib.sha256(f"{listing} {asked}".encode()).digest()
        return base64.urlsafe_b64encode(digest[:_MARK_BYTES]).decode()


async def page_or_problem(page: Awaitable[Result]) -> Result:
    """A page of a listing.

    Raises:
        Problem: 422, the cursor is not valid.
    """
    try:
        return await page
    except BadCursorError as error:
        raise bad_cursor(str(error)) from error


def bad_cursor(message: str) -> Problem:
    """The answer to a cursor that the listing did not give."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "bad_cursor",
        f"{message}. Begin again without a cursor.",
        errors=[FieldError(field="cursor", message=message)],
    )
