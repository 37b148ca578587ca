"""What an edit may show of what it edits: nothing that is sensitive, and nothing that was sealed."""

import json
import os
from typing import Any

import pytest

from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.privacy.seal import KEY_BYTES, SEALED, Keyring, is_sealed
from waybill_contracts.registry import built_in_registry
from waybill_ledger.access.redaction import redacted_payload
from waybill_ledger.deadletters.letters.contract_gate import Message
from waybill_ledger.deadletters.redrives.edits import Edited, edited
from waybill_ledger.deadletters.states import Verdict
from waybill_testkit.samples import gate_of, image_event

KEYS = Keyring([os.urandom(KEY_BYTES)])
MAIL = EmailRequested(to="ann@example.test", subject="Hello", text="How are you?", category="orders")
#: As a release would send it that knows a field more than this one, and seals it.
NEWER = MAIL.model_dump(mode="json", exclude_defaults=True) | {"nickname": "Annie"}


def sealed(payload: dict[str, Any]) -> bytes:
    names = EmailRequested.sensitive_fields() | {"nickname"}
    return json.dumps(KEYS.seal_fields(payload, names, "t1")).encode()


def edit(body: bytes, *patch: dict[str, Any], dataschema: str = MAIL.dataschema()) -> Edited:
    return edited(Message("email", MAIL.KIND, dataschema, body, "t1"), patch, gate_of(KEYS))


def shown(made: Edited) -> Any:
    sensitive = made.sensitive | built_in_registry().sensitive(MAIL.KIND)
    return redacted_payload(made.payload, sensitive, touched=made.touched)


@pytest.mark.parametrize("place", ["/to", ""])
def test_a_preview_tells_no_right_guess_from_a_wrong_one(place: str) -> None:
    def guess(to: str) -> dict[str, Any]:
        value = to if place else MAIL.model_dump(mode="json", exclude_defaults=True) | {"to": to}
        return {"op": "replace", "path": place, "value": value}

    body = KEYS.sealed_payload(MAIL, "t1")
    right, wrong = (edit(body, guess(to)) for to in ("ann@example.test", "bob@example.test"))

    assert right.checked.verdict is wrong.checked.verdict is Verdict.VALID
    assert shown(right) == shown(wrong)
    assert shown(right)["to"] == "[redacted, changed]"


def test_a_value_that_looks_sealed_is_what_somebody_wrote() -> None:
    written = {"op": "replace", "path": "/to", "value": {SEALED: "x.y"}}
    made = edit(KEYS.sealed_payload(MAIL, "t1"), written)
    assert made.checked.verdict is Verdict.UNFIXABLE
    assert [fault.field for fault in made.checked.faults] == ["to"]


def test_what_a_patch_does_not_touch_is_not_said_to_be_changed() -> None:
    subject = {"op": "replace", "path": "/subject", "value": "Hello again"}
    made = edit(
        KEYS.sealed_payload(MAIL, "t1"), {"op": "test", "path": "/category", "value": "orders"}, subject
    )

    assert shown(made) == {
        "to": "[redacted]",
        "subject": "[redacted, changed]",
        "text": "[redacted]",
        "category": "orders",
    }


@pytest.mark.parametrize("version", [EmailRequested.VERSION, 999])
def test_a_field_that_was_sealed_is_not_shown_though_no_contract_knows_it(version: int) -> None:
    dataschema = f"urn:waybill:{MAIL.KIND}:v{version}"
    category = {"op": "replace", "path": "/category", "value": "news"}
    made = edit(sealed(NEWER), category, dataschema=dataschema)
    assert made.payload == NEWER | {"category": "news"}
    assert shown(made)["nickname"] == "[redacted]"

    for nosy in (
        {"op": "copy", "from": "/nickname", "path": "/category"},
        {"op": "move", "from": "/nickname", "path": "/category"},
        {"op": "test", "path": "/nickname", "value": "Annie"},
    ):
        refused = edit(sealed(NEWER), nosy, dataschema=dataschema)
        assert refused.checked.verdict is Verdict.UNFIXABLE
        assert refused.checked.faults[0].field == "patch.0"
        assert refused.payload is None


def test_what_came_sealed_is_sent_sealed_though_the_contract_does_not_ask_for_it() -> None:
    payload = MAIL.model_dump(mode="json", exclude_defaults=True)
    body = json.dumps(KEYS.seal_fields(payload, frozenset(payload), "t1"))
    made = edit(body.encode(), {"op": "replace", "path": "/subject", "value": "Hello again"})

    assert shown(made)["category"] == "[redacted]"
    sent = made.body(KEYS, "t1")
    assert sent is not None
    assert {name for name, value in json.loads(sent).items() if is_sealed(value)} == set(payload)


def test_an_edit_cannot_refer_to_a_file_of_another_task() -> None:
    picture = image_event()
    body = picture.model_dump_json(exclude_defaults=True).encode()
    message = Message("images", picture.KIND, picture.dataschema(), body, "t1")

    def verdict(**operation: Any) -> Verdict:
        return edited(message, [{"op": "replace", **operation}], gate_of()).checked.verdict

    assert verdict(path="/variants", value=["large"]) is Verdict.VALID
    assert verdict(path="/source_key", value="originals/other/secret.jpg") is Verdict.UNFIXABLE
