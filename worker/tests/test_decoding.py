from typing import Any, Self

import pytest
from pydantic import model_validator

from waybill_contracts.events import Event, WhenUncertain
from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.privacy.seal import NO_KEYS, Keyring
from waybill_testkit.samples import email_event, envelope_of, sync_event
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.handlers import by_kind, handler
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.attempt.work import Work
from waybill_worker.broker.delivery import Delivery
from waybill_worker.consume.decode import Decoder, UnreadableError
from waybill_worker.errors import NotReadableYetError

EVENT = sync_event()
HEADERS = envelope_of(EVENT).to_headers()
BODY = EVENT.model_dump_json().encode()


async def do_nothing(_event: SyncRequested, _attempt: Attempt) -> dict[str, Any]:
    return {}


ONE = handler(SyncRequested, do_nothing, RetryPolicy(1, 1, 1))
UNKNOWN = RetryPolicy(7, 1, 1)


class _Nowhere:
    is_lost = False

    async def ack(self) -> None:
        raise AssertionError("nothing is acknowledged here")


def decode(delivery: Delivery, keyring: Keyring = NO_KEYS) -> Work:
    return Decoder(by_kind((ONE,)), keyring, UNKNOWN).decode(delivery)


def delivery(headers: dict[str, Any], body: bytes = BODY) -> Delivery:
    return Delivery(body, headers, None, None, _Nowhere())


def test_a_good_message_becomes_work() -> None:
    work = decode(delivery(HEADERS))

    assert (work.event, work.handler, work.envelope.kind) == (EVENT, ONE, "sync.requested")


@pytest.mark.parametrize("name", [name for name in HEADERS if name != "cloudEvents_specversion"])
def test_each_header_is_needed(name: str) -> None:
    headers = {key: value for key, value in HEADERS.items() if key != name}
    with pytest.raises(UnreadableError, match=f"header {name} is missing") as caught:
        decode(delivery(headers))

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
        decode(delivery(HEADERS | {name: value}))


def test_a_kind_that_is_not_ours_waits_for_a_release_that_knows_it() -> None:
    work = decode(delivery(envelope_of(email_event(), "task-1").to_headers(), b"\xff"))

    assert isinstance(work.event, NotReadableYetError)
    assert str(work.event) == "this release knows no email.requested, only sync.requested"
    assert (work.envelope.task_id, work.handler.policy) == ("task-1", UNKNOWN)
    assert work.when_uncertain is WhenUncertain.RESEND


def test_a_version_that_is_newer_waits_for_a_release_that_reads_it() -> None:
    headers = HEADERS | {"cloudEvents_dataschema": "urn:waybill:sync.requested:v2"}
    work = decode(delivery(headers, b'{"of": "another shape"}'))

    assert isinstance(work.event, NotReadableYetError)
    assert "v2 is newer than the version that this release reads: urn:waybill:sync.requested:v1" in str(
        work.event
    )
    assert work.handler is ONE
    # The attempts that there may be are for the newer release to say.
    assert work.snoozed(max_attempts=1).max_attempts is None


@pytest.mark.parametrize("dataschema", ["urn:waybill:image.uploaded:v1", "urn:waybill:sync.requested:v0"])
def test_a_contract_that_no_release_reads_is_unreadable(dataschema: str) -> None:
    with pytest.raises(UnreadableError, match=r"is not a version of sync\.requested"):
        decode(delivery(HEADERS | {"cloudEvents_dataschema": dataschema}))


def test_a_version_that_is_not_read_any_more_is_unreadable() -> None:
    second = type("Second", (SyncRequested,), {"VERSION": 2})
    decoder = Decoder(by_kind((handler(second, do_nothing, UNKNOWN),)), NO_KEYS, UNKNOWN)
    with pytest.raises(UnreadableError, match="version 1 is no longer supported"):
        decoder.decode(delivery(HEADERS))


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
        decode(delivery(HEADERS, body))

    assert caught.value.envelope is not None
    assert "secret" not in str(caught.value)


def test_two_handlers_for_one_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="one handler a kind"):
        by_kind((ONE, ONE))


def test_work_whose_key_is_missing_says_which_key() -> None:
    sealed = Keyring([bytes(32)]).sealed_payload(EVENT, HEADERS["x-task-id"])
    work = decode(delivery(HEADERS, sealed), Keyring([b"1" * 32]))
    assert work.when_uncertain is WhenUncertain.RESEND
    assert isinstance(work.event, NotReadableYetError)
    assert Keyring([bytes(32)]).names[0] in str(work.event)


class Period(Event, kind="period.closed"):
    first_day: int
    last_day: int

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last_day < self.first_day:
            raise ValueError("last_day must not come before first_day")
        return self


def test_a_broken_rule_on_several_fields_names_them_and_ends_the_task() -> None:
    async def close(_event: Period, _attempt: Attempt) -> None:
        raise AssertionError("its effect must not begin")

    valid = Period(first_day=1, last_day=2)
    headers = envelope_of(valid).to_headers()
    decoder = Decoder(by_kind((handler(Period, close, RetryPolicy(1, 1, 1)),)), NO_KEYS, UNKNOWN)
    with pytest.raises(UnreadableError, match=r"first_day, last_day: .*must not come before") as caught:
        decoder.decode(delivery(headers, b'{"first_day": 2, "last_day": 1}'))

    assert caught.value.envelope is not None, "the subtask is reported as dead"


def test_data_of_an_older_version_is_converted_by_the_upcasters_of_the_service() -> None:
    class Renamed(Event, kind="sync.requested", version=2):
        name: str

    async def note(_event: Renamed, _attempt: Attempt) -> None: ...

    decoder = Decoder(
        by_kind((handler(Renamed, note, RetryPolicy(1, 1, 1)),)),
        NO_KEYS,
        UNKNOWN,
        {("sync.requested", 1): lambda data: {"name": data["id"]}},
    )
    work = decoder.decode(delivery(HEADERS))

    assert work.event == Renamed(name=EVENT.id)
