import json
import os
from itertools import pairwise

import pytest

from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.privacy.seal import (
    KEY_BYTES,
    NO_KEYS,
    SEALED,
    Keyring,
    SealBrokenError,
    UnknownKeyError,
)
from waybill_contracts.versions.event_reader import NOTHING_OPENED, InvalidPayloadError, opener, read_event

OLD, NEW = os.urandom(KEY_BYTES), os.urandom(KEY_BYTES)
MAIL = EmailRequested(to="ann@example.test", subject="Hello", text="How are you?", category="orders")


def read(keyring: Keyring, body: bytes, task_id: str = "t1") -> object:
    return read_event(EmailRequested, MAIL.dataschema(), body, opened=opener(keyring, task_id)).event


def test_what_is_sealed_is_read_again_and_shows_only_what_is_not_sensitive() -> None:
    body = Keyring([OLD]).sealed_payload(MAIL, "t1")
    assert read(Keyring([OLD]), body) == MAIL
    payload = json.loads(body)
    assert payload.pop("category") == "orders"
    assert [list(value) for value in payload.values()] == [[SEALED]] * 3
    assert b"ann" not in body


def test_a_key_is_rotated_in_three_steps_while_work_flows() -> None:
    steps = [[OLD], [OLD, NEW], [NEW, OLD], [NEW]]
    for before, after in pairwise(steps):
        # Of two releases of keys that run side by side each opens what the other seals.
        if before != [NEW, OLD]:
            assert read(Keyring(before), Keyring(after).sealed_payload(MAIL, "t1")) == MAIL
            assert read(Keyring(after), Keyring(before).sealed_payload(MAIL, "t1")) == MAIL
    assert read(Keyring([NEW]), Keyring([NEW, OLD]).sealed_payload(MAIL, "t1")) == MAIL


def test_a_missing_key_is_no_fault_of_the_payload_and_is_named() -> None:
    body = Keyring([OLD]).sealed_payload(MAIL, "t1")
    (name,) = Keyring([OLD]).names
    for keyring in (Keyring([NEW]), NO_KEYS):
        with pytest.raises(UnknownKeyError, match=name):
            read(keyring, body)


def test_what_belongs_to_another_task_or_field_or_was_altered_is_never_opened() -> None:
    keyring = Keyring([OLD])
    body = keyring.sealed_payload(MAIL, "t1")
    with pytest.raises(InvalidPayloadError, match="altered"):
        read(keyring, body, "t2")
    payload = json.loads(body)
    swapped = payload | {"subject": payload["to"], "to": payload["subject"]}
    with pytest.raises(InvalidPayloadError, match="altered"):
        read(keyring, json.dumps(swapped).encode())
    text = payload["to"][SEALED]
    for broken in (text[:-8] + "AAAAAAA=", text[:-4], text.partition(".")[0] + ".", text + "!"):
        with pytest.raises(SealBrokenError):
            keyring.open({SEALED: broken}, "t1/to")


def test_what_was_sent_before_sealing_is_read_as_it_is() -> None:
    body = MAIL.model_dump_json(exclude_defaults=True).encode()
    assert read(Keyring([OLD]), body) == MAIL
    assert read(NO_KEYS, Keyring().sealed_payload(MAIL, "t1")) == MAIL


def test_keys_that_seal_nothing_any_more_still_open() -> None:
    off = Keyring([OLD], seals=False)
    assert SEALED.encode() not in off.sealed_payload(MAIL, "t1")
    assert read(off, Keyring([OLD]).sealed_payload(MAIL, "t1")) == MAIL


def test_a_value_that_looks_sealed_is_a_value_inside_of_a_sealed_field() -> None:
    keyring = Keyring([OLD])
    event = SyncRequested(target="crm", resource="contacts", id="1", data={SEALED: "nothing of the sort"})
    body = keyring.sealed_payload(event, "t1")
    opened = read_event(SyncRequested, event.dataschema(), body, opened=opener(keyring, "t1")).event
    assert opened == event


def test_a_sealed_value_left_as_it_is_breaks_the_contract_at_its_field() -> None:
    body = Keyring([OLD]).sealed_payload(MAIL, "t1")
    with pytest.raises(InvalidPayloadError) as invalid:
        read_event(EmailRequested, MAIL.dataschema(), body, opened=NOTHING_OPENED)
    assert {fault.field.partition(".")[0] for fault in invalid.value.faults} == {"to", "subject", "text"}


@pytest.mark.parametrize("text", ["short", "AAAA", "!" * 44, f"{'A' * 43}=,AAAA"])
def test_a_setting_that_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="is not base64 of 32 bytes") as refused:
        Keyring.of(text)
    assert text not in str(refused.value)
