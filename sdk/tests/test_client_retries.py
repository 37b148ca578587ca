"""What is tried again, how often, and for how long."""

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from inspect import isawaitable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from clients_under_test import Ask, OrderPlaced, Scripted, ask_async, problem, scripted

from waybill.client import new_key
from waybill.problems import (
    CallUnderWayError,
    ClientError,
    InternalError,
    InvalidDataError,
    LedgerUnavailableError,
    TasksRefusedError,
    TooManyRequestsError,
    UnexpectedAnswerError,
    UnreachableError,
)
from waybill_testkit.machine import free_ports

EVENT = OrderPlaced(order_id="17")
NOWHERE = "http://127.0.0.1:1"
AWAY = problem(503, "ledger_unavailable")


def submit(client: Any) -> Any:
    return client.submit(EVENT)


@pytest.mark.parametrize(
    "trouble",
    [
        Scripted(cut=True),
        AWAY,
        problem(500, "internal_error"),
        problem(408, "slow_body"),
        problem(429, "too_many_requests"),
        problem(409, "call_under_way"),
        Scripted(502, b"Bad Gateway"),
    ],
    ids=["cut", "503", "500", "408", "429", "409", "502"],
)
def test_a_submission_is_repeated_with_its_key(ask: Ask, trouble: Scripted) -> None:
    with scripted([trouble, trouble, Scripted()]) as gateway:
        assert ask(gateway.url, submit).id == "1"

    keys = [received.headers["idempotency-key"] for received in gateway.received]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert len({received.body for received in gateway.received}) == 1


def test_each_submission_has_a_key_of_its_own(ask: Ask) -> None:
    with scripted([Scripted()]) as gateway:
        ask(gateway.url, submit)
        ask(gateway.url, submit)

    first, second = (UUID(received.headers["idempotency-key"]) for received in gateway.received)
    assert first != second
    assert first.version == second.version == 7


def test_keys_are_in_the_order_of_their_making() -> None:
    first = new_key()
    time.sleep(0.002)
    assert first < new_key()


@pytest.mark.parametrize(
    "refused", [problem(422, "invalid_data"), problem(403, "scope_missing"), problem(404, "never_heard_of")]
)
def test_a_refusal_is_not_repeated(ask: Ask, refused: Scripted) -> None:
    with scripted([refused]) as gateway, pytest.raises(ClientError) as caught:
        ask(gateway.url, submit)

    assert len(gateway.received) == 1
    assert not caught.value.is_temporary
    assert not caught.value.may_have_taken_effect


def test_what_is_wrong_is_said_field_by_field(ask: Ask) -> None:
    wrong = problem(422, "invalid_data", errors=[{"field": "/data/order_id", "message": "is too short"}])
    with scripted([wrong]) as gateway, pytest.raises(InvalidDataError) as caught:
        ask(gateway.url, submit)

    assert (caught.value.status, caught.value.code, caught.value.detail) == (422, "invalid_data", "Why.")
    assert [(each.field, each.message) for each in caught.value.errors] == [
        ("/data/order_id", "is too short")
    ]
    assert str(caught.value) == "422 invalid_data: Why.; /data/order_id: is too short"


def test_the_wait_that_the_gateway_asks_for_is_kept(ask: Ask) -> None:
    limited = problem(429, "too_many_requests", headers={"Retry-After": "1"})
    with scripted([limited, Scripted()]) as gateway:
        began = time.monotonic()
        ask(gateway.url, submit)

    assert len(gateway.received) == 2
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("asked", ["60", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_wait_beyond_the_deadline_is_not_begun(ask: Ask, asked: str) -> None:
    limited = problem(429, "too_many_requests", headers={"Retry-After": asked})
    with scripted([limited]) as gateway:
        began = time.monotonic()
        with pytest.raises(TooManyRequestsError) as caught:
            ask(gateway.url, submit, deadline=20)

    assert time.monotonic() - began < 10
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 60


def test_a_call_ends_at_its_deadline(ask: Ask) -> None:
    with scripted([AWAY]) as gateway:
        began = time.monotonic()
        with pytest.raises(LedgerUnavailableError) as caught:
            ask(gateway.url, submit, deadline=1)

    assert time.monotonic() - began < 1.5
    assert len(gateway.received) > 2
    assert caught.value.is_temporary
    assert caught.value.may_have_taken_effect


def test_a_submission_may_have_a_deadline_of_its_own(ask: Ask) -> None:
    with scripted([AWAY]) as gateway:
        began = time.monotonic()
        with pytest.raises(LedgerUnavailableError):
            ask(gateway.url, lambda client: client.submit(EVENT, deadline=1.5))

    assert time.monotonic() - began < 5


def test_an_attempt_without_an_answer_is_given_up_and_repeated(ask: Ask) -> None:
    with scripted([Scripted(after=3), Scripted()]) as gateway:
        began = time.monotonic()
        assert ask(gateway.url, submit, timeout=0.3).id == "1"

        assert time.monotonic() - began < 2.5
    assert len(gateway.received) == 2


def test_a_gateway_that_is_away_may_come_back_within_the_deadline(ask: Ask) -> None:
    attempts: list[int] = []
    is_away = threading.Event()

    def key() -> str:
        # It is asked for before each attempt: before the second one, the first has failed.
        attempts.append(len(attempts))
        if len(attempts) == 2:
            is_away.set()
        return "key"

    [port] = free_ports(1)
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(ask, f"http://127.0.0.1:{port}", submit, api_key=key)
        assert is_away.wait(timeout=20)
        with scripted([Scripted()], port):
            assert accepted.result(timeout=40).id == "1"
    assert len(attempts) >= 2


def test_a_gateway_that_stays_away_is_unreachable(ask: Ask) -> None:
    with pytest.raises(UnreachableError) as caught:
        ask(NOWHERE, submit, deadline=0.5)

    assert caught.value.is_temporary
    assert not caught.value.may_have_taken_effect


def test_an_answer_of_another_server_is_no_acceptance(ask: Ask) -> None:
    with scripted([Scripted(200, b"<html>Welcome</html>")]) as gateway, pytest.raises(UnexpectedAnswerError):
        ask(gateway.url, submit)

    assert len(gateway.received) == 1


def test_a_state_that_this_release_does_not_know_is_text(ask: Ask) -> None:
    newer = {**Scripted().body, "state": "waiting", "batch": 7}
    with scripted([Scripted(body=newer)]) as gateway:
        assert ask(gateway.url, submit).state == "waiting"


def test_of_several_tasks_each_that_is_refused_is_named(ask: Ask) -> None:
    wrong = problem(
        422,
        "tasks_refused",
        errors=[
            {"field": "/tasks/1/data/order_id", "message": "is too short"},
            {"field": "/tasks/12/idempotency_key", "message": "was used"},
            {"field": "/tasks/1", "message": "is retired"},
        ],
    )
    with scripted([wrong]) as gateway, pytest.raises(TasksRefusedError) as caught:
        ask(gateway.url, lambda client: client.submit_many([EVENT, EVENT]))

    refused = {
        place: [(each.field, each.message) for each in faults]
        for place, faults in caught.value.refused.items()
    }
    assert refused == {
        1: [("/data/order_id", "is too short"), ("", "is retired")],
        12: [("/idempotency_key", "was used")],
    }


def test_a_field_that_the_gateway_refuses_before_any_contract_is_named_too(ask: Ask) -> None:
    wrong = problem(422, "invalid_request", errors=[{"field": "tasks.3.send_at", "message": "is late"}])
    with scripted([wrong]) as gateway, pytest.raises(ClientError) as caught:
        ask(gateway.url, lambda client: client.submit_many([EVENT]))

    assert [*caught.value.refused] == [3]  # type: ignore[attr-defined]
    assert caught.value.refused[3][0].field == "/send_at"  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", [0, 1001])
def test_no_or_too_many_tasks_are_not_sent(ask: Ask, number: int) -> None:
    with pytest.raises(ValueError, match="1 to 1,000"):
        ask(NOWHERE, lambda client: client.submit_many([EVENT] * number))


def test_the_key_is_asked_for_before_each_attempt(ask: Ask) -> None:
    keys = iter(["first", "second", "third"])
    with scripted([AWAY, AWAY, Scripted()]) as gateway:
        ask(gateway.url, submit, api_key=lambda: next(keys))

    sent = [received.headers["authorization"] for received in gateway.received]
    assert sent == ["Bearer first", "Bearer second", "Bearer third"]


def test_a_file_with_the_key_is_read_before_each_call(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("first")

    def twice(client: Any) -> Any:
        first = client.submit(EVENT)
        if isawaitable(first):

            async def then() -> Any:
                await first
                file.write_text("second")
                return await client.submit(EVENT)

            return then()
        file.write_text("second")
        return client.submit(EVENT)

    with scripted([Scripted()]) as gateway:
        ask(gateway.url, twice, api_key=file)

    sent = [received.headers["authorization"] for received in gateway.received]
    assert sent == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("key", ["wb_1\n", " wb_1 "])
def test_a_key_that_is_given_as_text_is_cleaned_as_that_of_a_file(ask: Ask, key: str) -> None:
    with scripted([Scripted()]) as gateway:
        ask(gateway.url, submit, api_key=key)

    assert gateway.received[0].headers["authorization"] == "Bearer wb_1"


def test_a_key_that_is_none_is_not_shown(ask: Ask) -> None:
    with pytest.raises(ValueError, match="the API key is empty") as caught:
        ask(NOWHERE, submit, api_key="wb_1\nhidden")

    assert "hidden" not in str(caught.value)


def test_the_key_may_come_from_an_async_function() -> None:
    async def key() -> str:
        return "fetched"

    with scripted([Scripted()]) as gateway:
        ask_async(gateway.url, submit, api_key=key)

    assert gateway.received[0].headers["authorization"] == "Bearer fetched"


def test_gateway_and_key_come_from_the_environment(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted([Scripted()]) as gateway:
        monkeypatch.setenv("WAYBILL_URL", gateway.url)
        monkeypatch.setenv("WAYBILL_API_KEY", "wb_1")
        ask(None, submit)  # type: ignore[arg-type] # as an application that names none

    assert gateway.received[0].headers["authorization"] == "Bearer wb_1"


def test_an_error_shows_no_password(ask: Ask) -> None:
    with pytest.raises(UnreachableError) as caught:
        ask("http://ann:hidden@127.0.0.1:1", submit, deadline=0.1)

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("error", [InternalError, CallUnderWayError, UnreachableError])
def test_errors_can_be_sent_to_another_process(error: Any) -> None:
    whole = (
        error("gone", may_have_taken_effect=False)
        if error is UnreachableError
        else error(500, error.code, "T", "D", (), 2.0)
    )
    again = pickle.loads(pickle.dumps(whole))
    assert type(again) is error
    assert str(again) == str(whole)
    assert again.retry_after == whole.retry_after


def test_documents_of_json_lines_come_one_by_one(ask: Ask) -> None:
    with scripted([Scripted(200, b'{"id": 1}\n\n{"id": 2}\n{"id": 3}')]) as gateway:
        found = ask(gateway.url, lambda client: client.lines("/v1/dead-letters/export", params={"q": "a"}))

    assert found == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert gateway.received[0].path == "/v1/dead-letters/export?q=a"
