"""What the API refuses of a form, so that the form can be shown again with what is wrong at each field."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from fastapi.exceptions import RequestValidationError

from waybill_gateway.http import FieldError, Problem, errors_of

#: What operations raise.
REFUSALS: Final = (Problem, RequestValidationError)
#: Answers that are about what was sent, so that it can be mended in the form.
_OF_FORMS: Final = frozenset({HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.CONFLICT})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not done."""

    status: int
    detail: str
    errors: Sequence[FieldError] = ()

    def of(self, field: str) -> str:
        """What is wrong with a field; empty: nothing that is known."""
        return "; ".join(each.message for each in self.errors if each.field.lstrip("/") == field)

    def beside(self, *fields: str) -> list[FieldError]:
        """What is wrong elsewhere."""
        return [each for each in self.errors if each.field.lstrip("/") not in fields]


def refusal_of(error: Problem | RequestValidationError) -> Refusal:
    """The refusal that an operation raised.

    Raises:
        Problem: it is not about what was sent.
    """
    if isinstance(error, RequestValidationError):
        errors = errors_of(error)
        detail = "Nothing was done: some fields are wrong."
        return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors)
    if error.status_code not in _OF_FORMS:
        raise error
    return Refusal(error.status_code, str(error.detail), error.errors)
