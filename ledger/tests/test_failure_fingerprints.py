import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill_ledger.progress.fingerprint import FINGERPRINT_LENGTH, MAX_LENGTH, fingerprint, normalised

UUID = "01a20797-6d09-71fe-b759-803ec3a459ee"


@pytest.mark.parametrize(
    ("message", "without_details"),
    [
        ("user 4711 has 3 orders", "user <number> has <number> orders"),
        (f"task {UUID} is gone", "task <id> is gone"),
        ("no contact order-17 (3f9ac1, 0x7f3a00)", "no contact <id> (<id>, <id>)"),
        ("550 5.1.1 <ann.b+c@mail.example.com>: unknown", "550 5.1.1 <<address>>: unknown"),
        ("no answer from https://crm.test:8443/a?b=1#c in 2.5 s", "no answer from <url> in <number> s"),
        ("cannot connect to smtp.example.com:25", "cannot connect to <host>"),
        ("the mail server localhost:2525 is away", "the mail server <host> is away"),
        ("refused by 10.0.0.12:5672 and [::1]:25", "refused by <host> and <host>"),
        ("due 2026-03-05T14:05:00.123+01:00, not 2026-03-06", "due <time>, not <time>"),
        ("12,500,000 bytes, -3 below", "<number> bytes, <number> below"),
        ("a\n  b\tc ", "a b c"),
        ("", ""),
    ],
)
def test_details_are_taken_out(message: str, without_details: str) -> None:
    assert normalised(message) == without_details


@pytest.mark.parametrize(
    "message",
    [
        "target 'crm' answered 404",
        "550 no such user",
        "the mail server did not take it: 451 4.7.1 greylisted",
        "HTTP 503",
        "HTTP/1.1 503",
        "status=409",
        "there is no target 'erp'; configured: crm",
    ],
)
def test_what_tells_one_fault_from_another_stays(message: str) -> None:
    assert normalised(message) == message


def test_failures_of_one_kind_have_one_fingerprint() -> None:
    messages = [
        f"target 'crm' answered 404: contact {n} of user-{n}@example.com is not at 10.0.0.{n}"
        for n in range(200)
    ]
    prints = {fingerprint("sync", "sync.requested", "PermanentError", message) for message in messages}

    assert len(prints) == 1
    (only,) = prints
    assert len(only) == FINGERPRINT_LENGTH
    assert int(only, 16)


def test_each_part_makes_another_kind() -> None:
    prints = [
        fingerprint("sync", "sync.requested", "PermanentError", "no"),
        fingerprint("email", "sync.requested", "PermanentError", "no"),
        fingerprint("sync", "user.created", "PermanentError", "no"),
        fingerprint("sync", "sync.requested", "TransientError", "no"),
        fingerprint("sync", "sync.requested", "PermanentError", "yes"),
        fingerprint("sync", "sync.requestedP", "ermanentError", "no"),
    ]

    assert len(set(prints)) == len(prints)


def test_it_stays_the_same_from_release_to_release() -> None:
    """It is kept in ledgers: another algorithm there needs a migration."""
    same = fingerprint("sync", "sync.requested", "PermanentError", "target 'crm' answered 422: order-17")
    assert same == "c77d7ae144795a0d1904e985a0111997"


@given(st.text(max_size=MAX_LENGTH * 2))
def test_any_message_has_one(message: str) -> None:
    assert len(normalised(message).splitlines()) <= 1
    assert fingerprint("s", "k", "e", message) == fingerprint("s", "k", "e", message)


@pytest.mark.parametrize("part", ["a", "1", "a.", "1.", "a@", "1-", "a1-", "[:", "a:", "https://", "1:", "+"])
def test_no_message_makes_it_slow(part: str) -> None:
    message = part * MAX_LENGTH
    began = time.process_time()
    for _ in range(20):
        normalised(message)
    # What backtracks takes a hundred times as long.
    assert time.process_time() - began < 0.5
