"""Text fields that messages share."""

from typing import Annotated

from pydantic import AfterValidator, Field


def without_nul(value: str) -> str:
    """Refuses a NUL, which text in PostgreSQL cannot contain: a report with one would be retried for ever."""
    if "\x00" in value:
        raise ValueError("text must not contain a NUL")
    return value


Name = Annotated[str, Field(min_length=1), AfterValidator(without_nul)]
