"""The data that a form stands for. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from waybill_contracts.registry import Contract
from waybill_gateway.http import FieldError, read_json
from waybill_gateway.ui.contract_forms.fields import PREFIX, shapes_of, type_of

#: The field of a form with all the data as one JSON text.
WHOLE: Final = "data"


def data_in(contract: Contract, form: Mapping[str, str]) -> tuple[dict[str, Any], list[FieldError]]:
    """The data that was filled in, and what in it is no JSON; its contract has not checked it.

    Args:
        contract: of the data.
        form: as a browser sent it; a field that is not filled in is absent.
    """
    if WHOLE in form:
        return _whole(form[WHOLE])
    data: dict[str, Any] = {}
    faults = []
    for name, _, shape in shapes_of(contract):
        if (text := form.get(f"{PREFIX}{name}")) is None:
            continue
        try:
            data[name] = value_of(text, type_of(shape))
        except ValueError as error:
            faults.append(FieldError(field=f"/data{pointer_to(name)}", message=f"is not JSON: {error}"))
    return data, faults


def pointer_to(name: str) -> str:
    """The JSON Pointer (RFC 6901) to a field of the data."""
    return f"/{name.replace('~', '~0').replace('/', '~1')}"


def value_of(text: str, kind: str) -> Any:
    """The value that a text stands for.

    Args:
        text: as a browser sent it.
        kind: JSON type of the field.

    Raises:
        ValueError: it has to be JSON, and is none.
    """
    # Browsers send each line break as two characters.
    text = text.replace("\r\n", "\n")
    if kind == "string":
        return text
    try:
        return read_json(text)
    except ValueError:
        if kind in {"array", "object"}:
            raise
        return text  # which the contract refuses, in its own words


def _whole(text: str) -> tuple[dict[str, Any], list[FieldError]]:
    try:
        data = value_of(text, "object")
    except ValueError as error:
        return {}, [FieldError(field="/data", message=f"is not JSON: {error}")]
    if not isinstance(data, dict):
        return {}, [FieldError(field="/data", message="must be an object: { … }")]
    return data, []
