import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from waybill_contracts.kinds.template_folder import TemplateFolderError, read_template_params

INVOICE = """{
  "name": "line",
  "note": "text?",
  "total": "number",
  "copy": "boolean",
  "link": "link",
  "due_at": "time",
  "items": [{"what": "line", "count": "number"}]
}"""
GIVEN: dict[str, Any] = {
    "name": "Ada",
    "total": 12,
    "copy": False,
    "link": "https://a.test/i/1",
    "due_at": "2026-03-05T15:05:00+01:00",
    "items": [{"what": "A chair", "count": 2}],
}


def folder_of(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder


def test_no_folder_has_no_templates(tmp_path: Path) -> None:
    assert read_template_params(None) == {}
    assert read_template_params(tmp_path) == {}


def test_parameters_have_the_types_that_the_file_names(tmp_path: Path) -> None:
    invoice = read_template_params(folder_of(tmp_path, "invoice.params.json", INVOICE))["invoice"]

    assert invoice.model_validate(GIVEN).model_dump(by_alias=True, mode="json") == GIVEN | {"note": None}
    for wrong, field in (
        ({"name": "two\nlines"}, ("name",)),
        ({"note": 5}, ("note",)),
        ({"total": "much"}, ("total",)),
        ({"total": True}, ("total",)),
        ({"link": "javascript:alert(1)"}, ("link",)),
        ({"due_at": "2026-03-05T15:05:00"}, ("due_at",)),
        ({"items": [{"what": "A chair"}]}, ("items", 0, "count")),
        ({"items": GIVEN["items"] * 201}, ("items",)),
        ({"nmae": "Ada"}, ("nmae",)),
    ):
        with pytest.raises(ValidationError) as refused:
            invoice.model_validate(GIVEN | wrong)
        assert next(error["loc"][: len(field)] for error in refused.value.errors()) == field
    with pytest.raises(ValidationError, match="name"):
        invoice.model_validate({name: value for name, value in GIVEN.items() if name != "name"})


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("invoice", '{\n "name": "line",\n}', "invoice.params.json, line 3: is not JSON"),
        (
            "invoice",
            '{\n "name": "line",\n "total": "money"}',
            "invoice.params.json, line 3: total must be one of line, text",
        ),
        ("invoice", '{"name": "line",\n "name": "text"}', "line 1: the parameter name is named twice"),
        ("invoice", '{\n\n "subject": "line"}', "line 3: subject cannot be a parameter name"),
        ("invoice", '{"Total": "number"}', "line 1: Total cannot be"),
        ("invoice", '{"items": [{"a": "line"}, {"a": "line"}]}', "line 1: items must be one of"),
        ("invoice", '{"items": [{"a": "what"}]}', "line 1: a must be one of"),
        ("invoice", '{"items": 5}', "line 1: items must be one of"),
        ("invoice", "[]", "invoice.params.json: an object of at most 50 parameters"),
        (
            "invoice",
            json.dumps(dict.fromkeys(map("p{}".format, range(51)), "line")),
            "at most 50 parameters",
        ),
        ("welcome", "{}", "welcome.params.json: the parameters of welcome are defined by Waybill"),
        ("layout", "{}", "layout.params.json: a template name has only"),
        ("In Voice", "{}", "In Voice.params.json: a template name has only"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(
    tmp_path: Path, file: str, text: str, complaint: str
) -> None:
    folder = folder_of(tmp_path, f"{file}.params.json", text)

    with pytest.raises(TemplateFolderError) as refused:
        read_template_params(folder)

    assert str(refused.value).startswith(str(folder))
    assert complaint in str(refused.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TemplateFolderError, match="no-such: is not a folder"):
        read_template_params(tmp_path / "no-such")


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "invoice.params.json").write_bytes(b"\xff")
    with pytest.raises(TemplateFolderError, match=r"invoice.params.json: cannot be read"):
        read_template_params(tmp_path)
