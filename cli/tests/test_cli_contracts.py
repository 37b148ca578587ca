import base64
import json
from pathlib import Path
from typing import Any

import pytest
from command_under_test import NOWHERE, Waybill
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from waybill_cli.checking.fit import check_payload
from waybill_cli.checking.waiting import read_waiting
from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.kinds.password_resets import PasswordResetRequested
from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.privacy.seal import Keyring, is_sealed
from waybill_contracts.registry import HandledKind, Manifest, built_in_registry
from waybill_testkit.gateway.served import listening
from waybill_testkit.samples import email_event, reset_event, sync_event

REGISTRY = built_in_registry()
MAIL = email_event().model_dump(mode="json", exclude_defaults=True)
RESET = reset_event().model_dump(mode="json")


@pytest.fixture
def waybill(capsys: pytest.CaptureFixture[str]) -> Waybill:
    return Waybill(capsys, NOWHERE)


def letter(payload: Any = MAIL, **changes: Any) -> dict[str, Any]:
    standard = {
        "id": 17,
        "state": "dead",
        "service": "email",
        "kind": "email.requested",
        "dataschema": EmailRequested.dataschema(),
        "payload": payload,
    }
    return standard | changes


def export(folder: Path, *letters: dict[str, Any]) -> Path:
    path = folder / "letters.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in letters))
    return path


def test_what_fits_passes(waybill: Waybill, tmp_path: Path) -> None:
    checked = waybill("contracts", "check", "--against", export(tmp_path, letter(), letter()))
    assert (checked.code, checked.out) == (0, "")
    assert "2 wait: 2 fit" in checked.err


def test_what_does_not_fit_is_named_and_counted(waybill: Waybill, tmp_path: Path) -> None:
    wrong = letter(MAIL | {"to": 7}, id=18)
    path = export(tmp_path, letter(), wrong, wrong | {"id": 19}, letter(kind="email.sent", id=20))
    checked = waybill("contracts", "check", "--against", path)
    assert checked.code == 1
    assert [line.split()[4:6] for line in checked.out.splitlines()[1:]] == [["2", "18"], ["1", "20"]]
    assert "this release knows no email.sent" in checked.out
    documents = waybill("contracts", "check", "--against", path, "--json").lines
    assert [(each["verdict"], each["count"]) for each in documents] == [
        ("valid", 1),
        ("unfixable", 2),
        ("unfixable", 1),
    ]
    assert documents[1]["faults"][0]["field"] == "to"


def test_what_will_never_be_sent_does_not_count(waybill: Waybill, tmp_path: Path) -> None:
    gone = letter("nonsense", state="discarded")
    path = export(tmp_path, gone, letter(state="recovered", payload={}), letter(kind=None, payload=None))
    checked = waybill("contracts", "check", "--against", path)
    assert (checked.code, checked.err.split()[0]) == (0, "0")


def test_a_redacted_field_counts_neither_for_nor_against(waybill: Waybill, tmp_path: Path) -> None:
    schema = PasswordResetRequested.dataschema()
    hidden = letter(RESET | {"link": "[redacted]"}, kind="password_reset.requested", dataschema=schema)
    assert waybill("contracts", "check", "--against", export(tmp_path, hidden)).code == 0
    wrong = hidden | {"payload": hidden["payload"] | {"expires_at": "never"}}
    assert waybill("contracts", "check", "--against", export(tmp_path, wrong)).code == 1
    # Only what its contract marks: a mail may be about the word.
    assert check_payload(
        REGISTRY, "email", "email.requested", "urn:waybill:email.requested:v9", b"{}"
    ).why.startswith("dataschema")
    assert read_waiting(letter(MAIL | {"category": "[redacted]"}), REGISTRY).hidden == frozenset()


def test_what_is_sealed_counts_neither_for_nor_against() -> None:
    payload = json.loads(Keyring([b"1" * 32]).sealed_payload(sync_event(), "t1"))
    assert is_sealed(payload["data"])

    def why(**changes: Any) -> str:
        body = json.dumps(payload | changes).encode()
        return check_payload(REGISTRY, "sync", "sync.requested", SyncRequested.dataschema(), body).why

    assert why() == ""
    assert why(target="").startswith("target: ")


def test_a_body_that_is_no_json_is_read_byte_for_byte(waybill: Waybill, tmp_path: Path) -> None:
    raw = letter(None, body_base64=base64.b64encode(b"\xff{").decode())
    checked = waybill("contracts", "check", "--against", export(tmp_path, raw))
    assert checked.code == 1
    assert "Invalid JSON" in checked.out


@pytest.mark.parametrize("line", ["{", "[]", "7", '{"id": 1}', '{"id": 1, "kind": 7, "payload": {}}'])
def test_a_line_that_is_nothing_of_ours_is_told(waybill: Waybill, tmp_path: Path, line: str) -> None:
    path = export(tmp_path, letter())
    path.write_text(path.read_text() + line)
    checked = waybill("contracts", "check", "--against", path)
    assert checked.code == 2
    assert "line 2" in checked.err


def test_a_file_that_is_missing_is_told(waybill: Waybill, tmp_path: Path) -> None:
    missing = waybill("contracts", "check", "--against", tmp_path / "none.jsonl")
    assert missing.code == 2
    assert "cannot be read" in missing.err


def test_a_gateway_streams_what_waits(capsys: pytest.CaptureFixture[str]) -> None:
    app = FastAPI()
    lines = [
        letter(where="task", redacted=[]),
        {"where": "dead_letter", "id": 5, "service": "email", "kind": "password_reset.requested"}
        | {"dataschema": PasswordResetRequested.dataschema(), "redacted": ["link"]}
        | {"payload": {name: value for name, value in RESET.items() if name != "link"}},
    ]

    @app.get("/v1/contracts/waiting")
    async def waiting() -> PlainTextResponse:
        return PlainTextResponse("\n".join(map(json.dumps, lines)), media_type="application/x-ndjson")

    with listening(app) as url:
        checked = Waybill(capsys, url)("contracts", "check", "--json")
        named = Waybill(capsys, NOWHERE)("contracts", "check", "--against", url)
    assert (checked.code, {each["where"] for each in checked.lines}) == (0, {"task", "dead_letter"})
    assert named.code == 0


def test_a_source_that_is_away_fails_the_check(waybill: Waybill) -> None:
    assert waybill("contracts", "check").code == 3
    assert waybill("contracts", "check", "--against", "amqp://guest@127.0.0.1:1/").code == 3


def test_a_manifest_gives_the_contracts_of_a_release(waybill: Waybill, tmp_path: Path) -> None:
    invoice = letter({"order_id": 7}, service="invoices", kind="invoice.requested")
    invoice["dataschema"] = "urn:waybill:invoice.requested:v1"
    data = {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}
    stated = Manifest(
        service="invoices",
        release="2",
        handles=(HandledKind(kind="invoice.requested", reads=(1,), data=data),),
    )
    manifest = tmp_path / "invoices.json"
    manifest.write_text(stated.text())
    path = export(tmp_path, letter(), invoice, invoice | {"id": 18, "payload": {"order_id": "7"}})
    checked = waybill("contracts", "check", "--against", path, "--manifest", manifest)
    assert (checked.code, len(checked.out.splitlines())) == (1, 2)
    assert "order_id: the value is not of type" in checked.out
    manifest.write_text("{}")
    refused = waybill("contracts", "check", "--against", path, "--manifest", manifest)
    assert refused.code == 2
    assert "is not a manifest" in refused.err
