"""Forms that are made from contracts: which fields they have, what they show, what they change. Pure."""

import json
from typing import Any

import pytest

from waybill_contracts.registry import Contract
from waybill_gateway.http import FieldError
from waybill_gateway.ui.contract_forms import data_in, fields_of, form_of, patch_in

TEXT: dict[str, Any] = {"type": "string"}


def contract(*required: str, **fields: Any) -> Contract:
    return Contract("k.asked", 1, {"type": "object", "properties": fields, "required": list(required)})


@pytest.mark.parametrize(
    ("schema", "control", "words"),
    [
        (TEXT | {"minLength": 3, "maxLength": 9}, "line", "text, 3 to 9 characters"),
        (TEXT | {"maxLength": 9000}, "text", "text, at most 9,000 characters"),
        (TEXT | {"format": "date-time"}, "line", "time, such as 2026-03-05T14:05:00Z"),
        ({"type": "integer", "exclusiveMinimum": 0}, "line", "whole number, above 0"),
        ({"type": ["number", "null"], "maximum": 5}, "line", "number, at most 5"),
        ({"type": "boolean"}, "choice", "true or false"),
        ({"enum": ["a", "b"]}, "choice", "one of the list"),
        ({"enum": [1, None]}, "choice", "one of the list"),
        ({"const": "a"}, "choice", "one of the list"),
        ({"anyOf": [TEXT, {"type": "null"}], "default": None}, "line", "text"),
        ({"anyOf": [TEXT, {"type": "integer"}]}, "json", "JSON, or text"),
        ({"type": "array", "maxItems": 2}, "json", "list, as JSON, at most 2 items"),
        ({"type": "object"}, "json", "object, as JSON"),
        ({}, "json", "JSON, or text"),
        (True, "json", "JSON, or text"),
    ],
)
def test_each_type_has_its_control(schema: Any, control: str, words: str) -> None:
    [field] = fields_of(contract(a=schema))
    assert (field.control, field.words) == (control, words)


def test_required_fields_come_first() -> None:
    assert [field.name for field in fields_of(contract("b", a=TEXT, b=TEXT))] == ["b", "a"]


def test_what_is_no_number_is_left_to_the_contract_to_refuse() -> None:
    of = contract(a={"type": "integer"}, b=TEXT, c={"type": "object"})
    assert data_in(of, {"data.a": "7", "data.b": "7"}) == ({"a": 7, "b": "7"}, [])
    assert data_in(of, {"data.a": "seven"}) == ({"a": "seven"}, [])
    data, [fault] = data_in(of, {"data.c": "{"})
    assert (data, fault.field) == ({}, "/data/c")


def test_a_name_with_a_slash_has_its_place() -> None:
    of = contract(**{"a/b~c": {"type": "object"}})
    _, [fault] = data_in(of, {"data.a/b~c": "{"})
    assert fault.field == "/data/a~1b~0c"
    [field] = form_of(of, sent={}, errors=[fault]).fields
    assert field.faults == (fault.message,)


def test_a_contract_of_very_many_fields_is_written_as_one_text() -> None:
    many = contract(**{f"f{number}": TEXT for number in range(101)})
    form = form_of(many, values={"f1": "a", "f2": "[redacted]"})
    assert (form.whole, form.fields) == ('{\n  "f1": "a"\n}', ())
    patch, _ = patch_in(many, {"f1": "a", "f2": "[redacted]", "f3": "c"}, {"data": '{"f1": "b"}'})
    assert patch == [{"op": "add", "path": "/f1", "value": "b"}, {"op": "remove", "path": "/f3"}]


BEFORE = {"a": "x", "b": "[redacted]", "c": [1], "d": None, "old": 1}
OF = contract("a", a=TEXT, b=TEXT, c={"type": "array"}, d=TEXT, e=TEXT)
SHOWN = {"data.a": "x", "data.c": "[\n  1\n]"}


@pytest.mark.parametrize(
    ("changes", "patch"),
    [
        ({}, []),
        ({"data.c": "[1]"}, []),
        ({"data.a": "y"}, [{"op": "add", "path": "/a", "value": "y"}]),
        ({"data.a": None}, [{"op": "remove", "path": "/a"}]),
        ({"data.b": "new"}, [{"op": "add", "path": "/b", "value": "new"}]),
        ({"drop.b": "yes"}, [{"op": "remove", "path": "/b"}]),
        ({"data.c": "[2]"}, [{"op": "add", "path": "/c", "value": [2]}]),
        ({"data.e": "z"}, [{"op": "add", "path": "/e", "value": "z"}]),
        ({"drop.old": "yes"}, [{"op": "remove", "path": "/old"}]),
        ({"pointer": "/c/0", "value": "3"}, [{"op": "add", "path": "/c/0", "value": 3}]),
        ({"patch": '[{"op": "test"}]'}, [{"op": "test"}]),
    ],
)
def test_an_edit_is_what_differs_from_what_was_shown(
    changes: dict[str, str | None], patch: list[dict[str, Any]]
) -> None:
    form = {name: text for name, text in (SHOWN | changes).items() if text is not None}
    assert patch_in(OF, BEFORE, form) == (patch, [])


@pytest.mark.parametrize(("was", "text"), [(True, "1"), (0, "false"), ([1], "[true]")])
def test_values_that_only_python_takes_for_equal_are_an_edit(was: object, text: str) -> None:
    of = contract("n", n={})
    patch, _ = patch_in(of, {"n": was}, {"data.n": text})
    assert [(each["op"], json.dumps(each["value"])) for each in patch] == [("add", text)]


def test_what_is_wrong_with_no_field_is_said_of_the_whole() -> None:
    errors = [FieldError(field="/version", message="old"), FieldError(field="/data/x/0", message="no")]
    form = form_of(OF, sent={}, errors=errors)
    assert [(each.field, each.message) for each in form.faults] == [("/version", "old"), ("x", "0: no")]
