from datetime import UTC, datetime

import pytest

from contracts.envelope import Envelope, EnvelopeError

ENVELOPE = Envelope(
    id="e1",
    kind="email.requested",
    source="/waybill/gateway",
    time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    dataschema="urn:waybill:email.requested:v1",
    task_id="t1",
    attempt=2,
    edit_no=1,
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
    assert (following.attempt, following.id, following.task_id) == (3, "e1", "t1")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-task-id", None),
        ("x-attempt", 0),
        ("x-attempt", "1"),
        ("x-attempt", True),
        ("x-redrive-no", -1),
        ("x-edit-no", -1),
        ("x-deadline", "tomorrow"),
        ("cloudEvents_time", "2026-01-02T03:04:05"),
        ("cloudEvents_type", 7),
    ],
)
def test_damaged_headers_are_named(header: str, value: object) -> None:
    with pytest.raises(EnvelopeError, match=header):
        Envelope.from_headers(ENVELOPE.to_headers() | {header: value})
