"""What a form changes in data that exists already, as a JSON Patch (RFC 6902). Pure."""

import json
from collections.abc import Mapping
from typing import Any, Final

from waybill_contracts.registry import Contract
from waybill_gateway.http import FieldError, read_json
from waybill_gateway.ui.contract_forms.fields import PREFIX, is_hidden, shapes_of, shown, type_of
from waybill_gateway.ui.contract_forms.reading import WHOLE, data_in, pointer_to, value_of

#: Begins the names of the boxes that leave a field out.
DROP: Final = "drop."
#: Begins the names of what hidden fields showed to who may see them.
SHOWN: Final = "shown."
#: Fields of a form that change one value inside a field, and all else.
POINTER, VALUE, PATCH = "pointer", "value", "patch"

Patch = list[dict[str, Any]]


def patch_in(
    contract: Contract, before: Mapping[str, Any], form: Mapping[str, str]
) -> tuple[Patch, list[FieldError]]:
    """The changes that a form makes, and what in it cannot be read.

    Args:
        contract: of the data.
        before: the data, as the sender of the form may see it; hidden values stay unless others are given.
        form: as a browser sent it.
    """
    patch: Patch = []
    faults: list[FieldError] = []
    if WHOLE in form:
        data, faults = data_in(contract, form)
        return (_differences(before, data) if not faults else []), faults
    for name, _, shape in shapes_of(contract):
        place = pointer_to(name)
        try:
            patch += _change(name, before, form, type_of(shape), shown(before.get(name), shape))
        except ValueError as error:
            faults.append(FieldError(field=f"/data{place}", message=f"is not JSON: {error}"))
    unknown = [name for name in before if name not in contract.fields and f"{DROP}{name}" in form]
    patch += [{"op": "remove", "path": pointer_to(name)} for name in unknown]
    if POINTER in form:
        # On a member of an object, `add` also replaces one that exists.
        patch.append({"op": "add", "path": form[POINTER], "value": json_or_text(form.get(VALUE, ""))})
    if PATCH in form:
        more, fault = _whole(form[PATCH])
        patch += more
        faults += fault
    return patch, faults


def json_or_text(text: str) -> Any:
    """A value as the command line takes it: what is no JSON is text."""
    return value_of(text, "any")


def _change(name: str, before: Mapping[str, Any], form: Mapping[str, str], kind: str, was: str) -> Patch:
    """The change of one field.

    Raises:
        ValueError: what was written has to be JSON, and is none.
    """
    place, text = pointer_to(name), form.get(f"{PREFIX}{name}", "").replace("\r\n", "\n")
    if f"{DROP}{name}" in form:
        return [{"op": "remove", "path": place}] if name in before else []
    if text == form.get(f"{SHOWN}{name}", was).replace("\r\n", "\n"):
        return []
    if not text:
        return [{"op": "remove", "path": place}] if name in before and not is_hidden(before[name]) else []
    value = value_of(text, kind)
    is_unchanged = name in before and _same(before[name], value)
    return [] if is_unchanged else [{"op": "add", "path": place, "value": value}]


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Patch:
    changed = [name for name, value in after.items() if name not in before or not _same(before[name], value)]
    gone = [name for name, value in before.items() if name not in after and not is_hidden(value)]
    return [
        *({"op": "add", "path": pointer_to(name), "value": after[name]} for name in changed),
        *({"op": "remove", "path": pointer_to(name)} for name in gone),
    ]


def _same(one: object, other: object) -> bool:
    """Whether two values are one in JSON; to Python, `true` and 1 are equal."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _whole(text: str) -> tuple[Patch, list[FieldError]]:
    try:
        patch = read_json(text)
    except ValueError as error:
        return [], [FieldError(field=PATCH, message=f"is not JSON: {error}")]
    if not isinstance(patch, list):
        return [], [FieldError(field=PATCH, message="is not a JSON Patch: write a list of operations")]
    return patch, []
