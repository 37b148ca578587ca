"""Types of what callers send, each limit stated once.

JSON bodies are read strictly: `true` and "60" are no numbers, "yes" is no truth value. Addresses and forms
hold only text, so there numbers are read from text.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints

from waybill_contracts.kinds import OneLine
from waybill_ledger import TENANT_PATTERN

#: PostgreSQL cannot store NUL in text. Half of a surrogate pair is refused by the type itself, for which text
#: is Unicode.
NO_NUL: Final = r"^[^\x00]*$"
#: Text that is not blank, and holds no NUL.
NOT_BLANK: Final = r"^[^\x00]*[^\x00\s][^\x00]*$"
#: What is wrong with a text that does not match one of these patterns; callers need not read them.
PATTERN_FAULTS: Final[Mapping[str | re.Pattern[str] | None, str]] = MappingProxyType(
    {
        NO_NUL: "must not contain the control character U+0000 (NUL)",
        NOT_BLANK: "must contain more than white space, and not the control character U+0000 (NUL)",
        OneLine.pattern: "must be one line of text without control characters",
    }
)
#: The largest integer of the databases.
MAX_INTEGER: Final = 2**63 - 1
#: Items on one page: default and maximum.
PAGE_SIZE, MAX_PAGE_SIZE = 50, 500

#: Any text that can be stored and searched for.
Text = Annotated[str, StringConstraints(pattern=NO_NUL)]
#: A name that a listing is filtered by.
Word = Annotated[Text, Field(min_length=1, max_length=255)]
#: A text that a listing searches for.
Search = Annotated[Text, Field(min_length=1, max_length=200)]
#: The first characters of an id.
Beginning = Annotated[str, Field(pattern=r"^[0-9A-Fa-f-]{1,36}$")]
#: Numbers and truth values of JSON bodies.
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
Truth = Annotated[bool, Field(strict=True)]
Tenant = Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]

#: No time here is before or after these years; calculations at the ends of the calendar would overflow.
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
