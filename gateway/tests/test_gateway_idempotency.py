import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from waybill_gateway.emails.models import PostEmail
from waybill_ledger.schema.tables import IDEMPOTENCY, TASKS
from waybill_testkit.gateway.in_process import EMAIL, Gateway, problem, running

USER = {"email": "ada@example.com", "name": "Ada"}


async def test_the_same_call_again_is_answered_as_the_first_time(gateway: Gateway) -> None:
    first = await gateway.post("/v1/emails", EMAIL, Idempotency_Key="k1")
    again = await gateway.post("/v1/emails", EMAIL, Idempotency_Key="k1")
    assert first.status_code == again.status_code == 202
    assert first.content == again.content
    assert first.headers["Location"] == again.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await gateway.count(TASKS) == 1


async def test_a_quoted_key_and_the_order_of_fields_make_no_difference(gateway: Gateway) -> None:
    first = await gateway.post("/v1/emails", EMAIL, Idempotency_Key='"k1"')
    again = await gateway.post("/v1/emails", dict(reversed(EMAIL.items())), Idempotency_Key="k1")
    assert first.json() == again.json()


async def test_other_content_under_the_same_key_is_refused(gateway: Gateway) -> None:
    await gateway.post("/v1/emails", EMAIL, Idempotency_Key="k1")
    for other in (EMAIL | {"subject": "Bye"}, EMAIL | {"delay_seconds": 5}, EMAIL | {"priority": "high"}):
        problem(await gateway.post("/v1/emails", other, Idempotency_Key="k1"), 422, "key_reused")
    assert await gateway.count(TASKS) == 1


async def test_a_key_belongs_to_one_path(gateway: Gateway) -> None:
    mail = await gateway.post("/v1/emails", EMAIL, Idempotency_Key="k1")
    user = await gateway.post("/v1/users", USER, Idempotency_Key="k1")
    assert mail.status_code == user.status_code == 202
    assert mail.json()["id"] != user.json()["id"]


@pytest.mark.parametrize("key", ["", " ", "two words", "x" * 256, '"open', 'in"side', '""', "\xe9", "a\tb"])
async def test_what_is_no_key_is_refused(gateway: Gateway, key: str) -> None:
    answer = await gateway.client.post(
        "/v1/emails", json=EMAIL, headers=[(b"Idempotency-Key", key.encode("latin-1"))]
    )
    problem(answer, 400, "bad_idempotency_key")
    assert await gateway.count(TASKS) == 0


async def test_of_two_at_once_one_is_answered_and_one_asked_to_come_again(gateway: Gateway) -> None:
    answers = await asyncio.gather(
        *(gateway.post("/v1/emails", EMAIL, Idempotency_Key="k1") for _ in range(2))
    )
    accepted, refused = sorted(answers, key=lambda answer: answer.status_code)
    assert accepted.status_code == 202
    problem(refused, 409, "call_under_way")
    assert refused.headers["Retry-After"] == "1"
    again = await gateway.post("/v1/emails", EMAIL, Idempotency_Key="k1")
    assert again.json() == accepted.json()


async def test_two_gateways_with_one_ledger_accept_a_call_once(tmp_path: Path, ledger_url: str) -> None:
    shared = {"ledger_url": ledger_url}
    async with running(tmp_path, **shared) as first, running(tmp_path, **shared) as second:
        answers = await asyncio.gather(
            *(
                gateway.post("/v1/emails", EMAIL, Idempotency_Key=f"k{number}")
                for number in range(20)
                for gateway in (first, second)
            )
        )
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["id"] for answer in answers}) == 20
        assert await first.count(TASKS) == await second.count(IDEMPOTENCY) == 20


async def test_a_refused_call_does_not_use_up_its_key(gateway: Gateway) -> None:
    problem(
        await gateway.post("/v1/emails", EMAIL | {"to": "no"}, Idempotency_Key="k1"), 422, "invalid_request"
    )
    assert (await gateway.post("/v1/emails", EMAIL, Idempotency_Key="k1")).status_code == 202


async def test_a_scheduled_call_may_be_repeated_when_its_time_has_passed(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = EMAIL | {"send_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
    first = await gateway.post("/v1/emails", later, Idempotency_Key="k1")
    assert first.json()["state"] == "scheduled"
    # Two hours and more pass.
    monkeypatch.setattr("waybill_gateway.tasks.models.CLOCK_SKEW", timedelta(hours=-2))
    again = await gateway.post("/v1/emails", later, Idempotency_Key="k1")
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    problem(await gateway.post("/v1/emails", later, Idempotency_Key="k2"), 422, "send_at_passed")
    problem(await gateway.post("/v1/emails", later), 422, "send_at_passed")


def sha256_of(mail: dict[str, str]) -> str:
    """The fingerprint that a reader of the ledger can compute for a guess."""
    return hashlib.sha256(PostEmail.model_validate(mail).model_dump_json().encode()).hexdigest()


async def test_what_is_kept_of_a_call_does_not_confirm_a_guess(gateway: Gateway) -> None:
    await gateway.post("/v1/emails", EMAIL, Idempotency_Key="k1")
    [row] = await gateway.rows(IDEMPOTENCY)
    assert len(row["fingerprint"]) == 64
    assert row["fingerprint"] != sha256_of(EMAIL)


async def test_a_call_that_the_last_release_kept_is_recognised(gateway: Gateway) -> None:
    first = await gateway.post("/v1/emails", EMAIL, Idempotency_Key="k1")

    def as_before(connection: Connection, _: object) -> list[None]:
        connection.execute(update(IDEMPOTENCY).values(fingerprint=sha256_of(EMAIL)))
        return [None]

    await gateway.resources.records.write(as_before, None)
    again = await gateway.post("/v1/emails", EMAIL, Idempotency_Key="k1")
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await gateway.post("/v1/emails", EMAIL | {"subject": "Bye"}, Idempotency_Key="k1")
    problem(other, 422, "key_reused")
    assert await gateway.count(TASKS) == 1


async def test_where_there_is_no_key_to_digest_with_calls_are_known_by_their_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WAYBILL_PERSONS_KEY")
    async with running(tmp_path, sealing="off") as gateway:
        first = await gateway.post("/v1/emails", EMAIL, Idempotency_Key="k1")
        assert (await gateway.post("/v1/emails", EMAIL, Idempotency_Key="k1")).json() == first.json()
        assert [row["fingerprint"] for row in await gateway.rows(IDEMPOTENCY)] == [sha256_of(EMAIL)]
