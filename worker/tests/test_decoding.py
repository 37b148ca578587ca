from typing import Any

import pytest

from waybill_contracts.events import WhenUncertain
from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.privacy.seal import NO_KEYS, Keyring, UnknownKeyError
from waybill_testkit.samples import email_event, envelope_of, sync_event
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.handlers import by_kind, handler
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.broker.delivery import Delivery
from waybill_worker.consume.decode import UnreadableError, decode

EVENT = sync_event()
HEADERS = envelope_of(EVENT).to_headers()
BODY = EVENT.model_dump_json().encode()


async def do_nothing(_event: SyncRequested, _attempt: Attempt) -> dict[str, Any]:
    return {}


ONE = handler(SyncRequested, do_nothing, RetryPolicy(1, 1, 1))
HANDLERS = by_kind((ONE,))


class _Nowhere:
    is_lost = False

    async def ack(self) -> None:
        raise AssertionError("nothing is acknowledged here")


def delivery(headers: dict[str, Any], body: bytes = BODY) -> Delivery:
    return Delivery(body, headers, None, None, _Nowhere())


def test_a_good_message_becomes_work() -> None:
    work = decode(delivery(HEADERS), HANDLERS, keyring=NO_KEYS)

    assert (work.event, work.handler, work.envelope.kind) == (EVENT, ONE, "sync.requested")


@pytest.mark.parametrize("name", [name for name in HEADERS if name != "cloudEvents_specversion"])
def test_each_header_is_needed(name: str) -> None:
    headers = {key: value for key, value in HEADERS.items() if key != name}
    with pytest.raises(UnreadableError, match=f"header {name} is missing") as caught:
        decode(delivery(headers), HANDLERS, keyring=NO_KEYS)

    assert caught.value.envelope is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-attempt", 0),
        ("x-attempt", 2**40),
        ("x-attempt", True),
        ("x-attempt", "1"),
        ("x-redrive-no", -1),
        ("x-redrive-no", 2**24),
        ("x-max-attempts", 0),
        ("x-task-id", ""),
        ("x-task-id", "x" * 65),
        ("x-task-id", "a\x00b"),
        ("x-task-id", 7),
        ("cloudEvents_type", "k" * 256),
        ("cloudEvents_time", "yesterday"),
        ("cloudEvents_time", "2026-01-01T00:00:00"),
        ("x-deadline", "2026-01-01"),
        ("traceparent", b"00-"),
    ],
)
def test_damaged_headers_are_named(name: str, value: object) -> None:
    with pytest.raises(UnreadableError, match=f"header {name} "):
        decode(delivery(HEADERS | {name: value}), HANDLERS, keyring=NO_KEYS)


def test_a_kind_that_is_not_ours_is_told_with_the_envelope() -> None:
    headers = envelope_of(email_event(), "task-1").to_headers()
    with pytest.raises(UnreadableError, match=r"kind email.requested is none of sync.requested") as caught:
        decode(delivery(headers), HANDLERS, keyring=NO_KEYS)

    assert caught.value.envelope is not None
    assert caught.value.envelope.task_id == "task-1"


def test_a_version_that_is_not_ours() -> None:
    headers = HEADERS | {"cloudEvents_dataschema": "urn:waybill:sync.requested:v2"}
    with pytest.raises(UnreadableError, match=r"v2 is newer than the version that this release reads: .*v1"):
        decode(delivery(headers), HANDLERS, keyring=NO_KEYS)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "body: Invalid JSON"),
        (b"\xff\xfe", "body: Invalid JSON"),
        (b"[]", "body: Input should be an object"),
        (b"{}", "target: Field required"),
        (BODY.replace(b'"id"', b'"extra":1,"id"'), "extra: Extra inputs are not permitted"),
        (BODY.replace(b'"id":"7"', b'"id":"../secret"'), "id: String should match pattern"),
    ],
)
def test_a_body_against_its_contract_is_told_without_its_values(body: bytes, told: str) -> None:
    with pytest.raises(UnreadableError, match=told) as caught:
        decode(delivery(HEADERS, body), HANDLERS, keyring=NO_KEYS)

    assert caught.value.envelope is not None
    assert "secret" not in str(caught.value)


def test_two_handlers_for_one_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="one handler a kind"):
        by_kind((ONE, ONE))


def test_work_whose_key_is_missing_says_which_key() -> None:
    sealed = Keyring([bytes(32)]).sealed_payload(EVENT, HEADERS["x-task-id"])
    work = decode(delivery(HEADERS, sealed), HANDLERS, Keyring([b"1" * 32]))
    assert work.when_uncertain is WhenUncertain.RESEND
    assert isinstance(work.event, UnknownKeyError)
    assert Keyring([bytes(32)]).names[0] in str(work.event)
