from dataclasses import replace
from datetime import UTC, datetime

import pytest

from waybill_contracts.wire.envelope import Envelope, EnvelopeError

ENVELOPE = Envelope(
    id="e1",
    kind="email.requested",
    source="/waybill/gateway",
    time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    dataschema="urn:waybill:email.requested:v1",
    task_id="t1",
    attempt=2,
    edit_no=1,
    snooze_no=5,
    max_attempts=4,
    deadline=datetime(2026, 1, 3, tzinfo=UTC),
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)


def test_headers_bring_the_envelope_across() -> None:
    assert Envelope.from_headers(ENVELOPE.to_headers()) == ENVELOPE


def test_headers_of_the_broker_are_left_behind() -> None:
    arrived = ENVELOPE.to_headers() | {"x-death": [{"count": 1}], "x-delivery-count": 3}
    assert set(Envelope.from_headers(arrived).to_headers()) == set(ENVELOPE.to_headers())


def test_next_attempt_is_the_same_event() -> None:
    following = ENVELOPE.next_attempt(max_attempts=4)
    assert (following.attempt, following.snooze_no, following.id, following.task_id) == (3, 0, "e1", "t1")


def test_a_snooze_is_the_same_attempt() -> None:
    following = ENVELOPE.snoozed(max_attempts=4)
    assert (following.attempt, following.snooze_no, following.id) == (2, 6, "e1")


def test_a_redrive_begins_anew_with_the_same_event() -> None:
    redriven = replace(ENVELOPE, attempt=1, snooze_no=0, max_attempts=None, redrive_no=1, deadline=None)
    assert ENVELOPE.redriven() == redriven


def test_a_message_that_was_never_put_off_need_not_say_so() -> None:
    headers = ENVELOPE.to_headers()
    del headers["x-snooze-no"]
    assert Envelope.from_headers(headers).snooze_no == 0


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-task-id", None),
        ("x-attempt", 0),
        ("x-attempt", "1"),
        ("x-attempt", True),
        ("x-redrive-no", -1),
        ("x-edit-no", -1),
        ("x-snooze-no", -1),
        ("x-snooze-no", 4096),
        ("x-deadline", "tomorrow"),
        ("cloudEvents_time", "2026-01-02T03:04:05"),
        ("cloudEvents_type", 7),
    ],
)
def test_damaged_headers_are_named(header: str, value: object) -> None:
    with pytest.raises(EnvelopeError, match=header):
        Envelope.from_headers(ENVELOPE.to_headers() | {header: value})
