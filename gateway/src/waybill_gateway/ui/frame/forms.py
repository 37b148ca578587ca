"""Forms as the bodies that the API takes: checked by the same models, refused in the same words."""

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Body = TypeVar("Body", bound=BaseModel)


def body_of(model: type[Body], fields: Mapping[str, Any]) -> Body:
    """The body of a call, from the fields of a form.

    Raises:
        RequestValidationError: fields are missing or wrong.
    """
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


def numbers(form: Mapping[str, str], **kinds: type[int] | type[float]) -> dict[str, Any]:
    """The fields of a form that are numbers; other text stays, to be refused in the words of the API.

    Args:
        form: as a browser sent it.
        kinds: the type of each field.
    """
    found: dict[str, Any] = {}
    for name, kind in kinds.items():
        if name in form:
            try:
                found[name] = kind(form[name])
            except ValueError:
                found[name] = form[name]
    return found
