import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from waybill_contracts.registry.compatibility import breaking_changes
from waybill_contracts.versions import schemas
from waybill_contracts.versions.schemas import GOLDEN_FOLDER, current_schemas, newly_refused

ROOT = Path(__file__).resolve().parents[2]
#: From this commit on there are installations whose messages must stay readable.
BEGINNING = "158d45ec0758"


def message(*, required: tuple[str, ...] = ("to",), **changed: Any) -> dict[str, Any]:
    """A contract with a field of each sort, of which a test changes one; None: without it."""
    fields: dict[str, Any] = {
        "to": {"type": "string", "maxLength": 100, "minLength": 3, "pattern": "^a"},
        "size": {"type": "integer", "minimum": 1, "maximum": 10},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "preset": {"$ref": "#/$defs/Preset"},
        "many": {"type": "array", "items": {"type": "string", "maxLength": 5}, "maxItems": 3},
        "inner": {"$ref": "#/$defs/Inner"},
        "rest": {"type": "object"},
    } | changed
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": {name: field for name, field in fields.items() if field is not None},
        "$defs": {
            "Preset": {"type": "string", "enum": ["thumb", "large"]},
            "Smaller": {"type": "string", "enum": ["thumb"]},
            "Larger": {"type": "string", "enum": ["thumb", "large", "huge"]},
            "Inner": {"type": "object", "properties": {"x": {"type": "string"}}, "required": []},
            "Stricter": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]},
        },
    }


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (message(to=None, required=()), ".to: the field was removed"),
        (message(note=None), ".note: the field was removed"),
        (message(required=("to", "size")), ".size: the field is now required"),
        (message(to={"type": "string", "maxLength": 99, "minLength": 3, "pattern": "^a"}), ".to: maxLength"),
        (message(to={"type": "string", "maxLength": 100, "minLength": 4, "pattern": "^a"}), ".to: minLength"),
        (message(to={"type": "string", "pattern": "^b"}), ".to: pattern"),
        (message(size={"type": "integer", "minimum": 2, "maximum": 10}), ".size: minimum"),
        (message(size={"type": "string"}), ".size: the type"),
        (message(note={"type": "string"}), ".note: the type was null"),
        (message(note={"anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}]}), ".note: maxLength"),
        (message(preset={"$ref": "#/$defs/Smaller"}), ".preset: only"),
        (message(preset={"type": "string", "pattern": "^[a-l]+$"}), ".preset: pattern"),
        (message(preset={"type": "string", "format": "uuid"}), ".preset: format"),
        (message(many={"type": "array", "items": {"type": "string", "maxLength": 4}}), ".many[]: maxLength"),
        (message(inner={"$ref": "#/$defs/Stricter"}), ".inner.x: the field is now required"),
        (message(rest={"type": "object", "additionalProperties": False}), ".rest: unknown fields"),
    ],
)
def test_what_an_older_message_may_hold_must_not_be_refused(after: dict[str, Any], told: str) -> None:
    found = breaking_changes(message(), after)
    assert len(found) == 1
    assert found[0].startswith(told)


@pytest.mark.parametrize(
    "after",
    [
        message(),
        message(more={"type": "string"}),
        message(required=()),
        message(to={"type": "string", "maxLength": 200}),
        message(size={"type": "number", "minimum": 0}),
        message(size={"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}),
        message(note={}),
        message(preset={"$ref": "#/$defs/Larger"}),
        message(preset={"type": "string"}),
        message(preset={"type": "string", "pattern": "^[a-z]+$"}),
        message(many={"type": "array", "items": {"type": "string"}}),
    ],
)
def test_what_widens_is_compatible(after: dict[str, Any]) -> None:
    assert breaking_changes(message(), after) == []


def test_a_renamed_field_is_gone_and_required() -> None:
    after = message(to=None, recipient={"type": "string"}, required=("recipient",))
    assert sorted(breaking_changes(message(), after)) == [
        ".recipient: the field is now required",
        ".to: the field was removed",
    ]


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def history() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("there is no history to look into")
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        pytest.skip("the history was cut off when this was cloned")


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("name", current_schemas())
def test_a_contract_reads_all_that_was_ever_committed_under_its_version(name: str) -> None:
    path = (GOLDEN_FOLDER / name).relative_to(ROOT).as_posix()
    now = current_schemas()[name]
    since = git("log", "--format=%H", "--diff-filter=AM", f"{BEGINNING}..HEAD", "--", path).split()
    for commit in (*since, *([BEGINNING] if git("ls-tree", BEGINNING, path) else ())):
        before = git("show", f"{commit}:{path}")
        assert newly_refused(name, before, now) == [], f"raise VERSION: {commit[:8]} allowed more"


def test_the_golden_files_are_not_written_over_by_what_is_incompatible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mail.v1.json").write_text(json.dumps(message()))
    monkeypatch.setattr(schemas, "GOLDEN_FOLDER", tmp_path)
    changed = {"mail.v1.json": json.dumps(message(note=None)), "other.v1.json": "{}"}
    monkeypatch.setattr(schemas, "current_schemas", lambda: changed)

    assert schemas.main() == 1
    assert "mail.v1.json: .note: the field was removed" in capsys.readouterr().err
    assert json.loads((tmp_path / "mail.v1.json").read_text()) == message()
    assert not (tmp_path / "other.v1.json").exists()
