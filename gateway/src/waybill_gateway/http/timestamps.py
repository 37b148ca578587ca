"""Moments as callers write them."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

#: Nothing here happened before or is planned after; reckoning from the calendar's ends would leave it.
FIRST_YEAR, LAST_YEAR = 1970, 2199
_EXAMPLE: Final = "2026-03-05T14:05:00Z"


def _written_out(value: object) -> object:
    # pydantic would take a number for seconds or milliseconds since 1970, depending on its size.
    if isinstance(value, int | float) or (isinstance(value, str) and _is_number(value)):
        raise ValueError(f"write the time as ISO 8601 with its offset, such as {_EXAMPLE}")
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _within_reach(value: datetime) -> datetime:
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"the year must be from {FIRST_YEAR} to {LAST_YEAR}")
    return value


#: A time with its offset from UTC, as ISO 8601 text and nothing else.
Moment = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_within_reach)]
