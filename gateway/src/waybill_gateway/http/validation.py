"""Validation whose errors name all that is wrong, in one answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails

Model = TypeVar("Model", bound=BaseModel)


def validated(
    model: type[Model],
    data: Mapping[str, Any],
    where: Sequence[str] = (),
    faults: Sequence[InitErrorDetails] = (),
) -> Model:
    """The valid model of a part of a request.

    Args:
        model: the model.
        data: the part.
        where: its place in the body.
        faults: what else is wrong with it.

    Raises:
        RequestValidationError: names `faults` and all that the model refuses.
    """
    try:
        return validated_beside(list(faults), model.model_validate, data)
    except ValidationError as error:
        raise RequestValidationError(
            [line | {"loc": ("body", *where, *line["loc"])} for line in error.errors()]
        ) from None


def validated_beside(faults: list[InitErrorDetails], validate: Callable[[Any], Model], data: Any) -> Model:
    """The valid model of `data`.

    Raises:
        ValidationError: names `faults` and all that `validate` finds.
    """
    try:
        valid = validate(data)
    except ValidationError as error:
        if not faults:
            raise
        found = [
            InitErrorDetails(type=line["type"], loc=line["loc"], input=None, ctx=line.get("ctx", {}))
            for line in error.errors()
        ]
        raise ValidationError.from_exception_data(error.title, [*found, *faults]) from None
    if faults:
        raise ValidationError.from_exception_data(type(valid).__name__, faults)
    return valid
