import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection, update
from structlog.testing import capture_logs

from waybill_contracts.privacy.seal import KEY_BYTES, Keyring
from waybill_ledger.schema.tables import IDEMPOTENCY, OUTBOX, PASSWORD_RESETS, TASKS
from waybill_testkit.gateway.in_process import Gateway, problem, running

LINK = "https://app.example/reset/{token}?lang=en"
ADA = {"email": "ada@example.com"}


@pytest.fixture
async def gateway(tmp_path: Path, ledger_url: str) -> AsyncIterator[Gateway]:
    async with running(tmp_path, ledger_url=ledger_url, reset_link=LINK, reset_ttl_seconds=600) as started:
        yield started


async def token_for(gateway: Gateway, body: Mapping[str, object] = ADA) -> str:
    """Asks for a reset, and takes the token out of the mail that is to be sent."""
    answer = await gateway.post("/v1/password-resets", body)
    assert answer.status_code == 202
    tasks = [row for row in await gateway.rows(TASKS) if row["id"] == answer.json()["id"]]
    sealed = json.loads(tasks[0]["payload"])
    link: str = gateway.resources.keyring.open_fields(sealed, tasks[0]["id"])["link"]
    token = link.removeprefix("https://app.example/reset/").removesuffix("?lang=en")
    assert token not in answer.text
    return token


async def redeem(gateway: Gateway, token: str, **headers: str) -> httpx.Response:
    return await gateway.post("/v1/password-resets/redeem", {"token": token}, **headers)


async def expire_all(gateway: Gateway) -> None:
    def expire(connection: Connection, times: Sequence[datetime]) -> list[None]:
        connection.execute(update(PASSWORD_RESETS).values(expires_at=times[0]))
        return [None]

    await gateway.resources.records.write(expire, datetime.now(UTC) - timedelta(seconds=1))


async def test_the_token_is_mailed_and_only_its_hash_is_looked_up(gateway: Gateway) -> None:
    token = await token_for(gateway)
    assert len(token) == 43  # 256 bits in base64url
    [kept] = await gateway.rows(PASSWORD_RESETS)
    [task] = await gateway.rows(TASKS)
    assert kept["token_hash"] == hashlib.sha256(token.encode()).hexdigest()
    assert token not in str(kept)
    assert token not in str(await gateway.rows(OUTBOX))
    assert token not in str({name: value for name, value in task.items() if name != "payload"})
    assert kept["expires_at"] == task["deadline"]
    assert timedelta(seconds=599) < kept["expires_at"] - task["created_at"] <= timedelta(seconds=600)
    shown = await gateway.client.get(f"/v1/tasks/{task['id']}")
    assert token not in shown.text


async def test_each_request_makes_another_token(gateway: Gateway) -> None:
    assert await token_for(gateway) != await token_for(gateway)


async def test_the_answer_is_the_same_for_an_address_that_nobody_knows(gateway: Gateway) -> None:
    known, unknown = [
        (await gateway.post("/v1/password-resets", {"email": email})).json()
        for email in ("ada@example.com", "nobody@example.com")
    ]
    assert known.keys() == unknown.keys()
    assert (known["kind"], known["state"]) == (unknown["kind"], unknown["state"])


async def test_a_token_is_good_once(gateway: Gateway) -> None:
    token = await token_for(gateway)
    first = await redeem(gateway, token)
    assert first.status_code == 200
    assert first.json()["email"] == "ada@example.com"
    assert (await gateway.client.get(f"/v1/tasks/{first.json()['task_id']}")).status_code == 200
    problem(await redeem(gateway, token), 410, "token_redeemed")


async def test_of_many_at_once_one_redeems(gateway: Gateway) -> None:
    token = await token_for(gateway)
    answers = await asyncio.gather(*(redeem(gateway, token) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200, *[410] * 9]


async def test_a_token_that_was_never_given_out_is_unknown(gateway: Gateway) -> None:
    await token_for(gateway)
    problem(await redeem(gateway, "x" * 43), 404, "token_unknown")


async def test_an_expired_token_is_gone_for_good(gateway: Gateway) -> None:
    token = await token_for(gateway)
    await expire_all(gateway)
    problem(await redeem(gateway, token), 410, "token_expired")
    problem(await redeem(gateway, token, Idempotency_Key="k1"), 410, "token_expired")
    problem(await redeem(gateway, token, Idempotency_Key="k1"), 410, "token_expired")


async def test_a_reset_for_later_is_good_from_then_on(gateway: Gateway) -> None:
    await token_for(gateway, ADA | {"delay_seconds": 3600})
    [kept] = await gateway.rows(PASSWORD_RESETS)
    [task] = await gateway.rows(TASKS)
    assert timedelta(seconds=599) < kept["expires_at"] - task["due_at"] <= timedelta(seconds=600)


async def test_redeeming_again_with_the_same_key_is_answered_as_the_first_time(gateway: Gateway) -> None:
    token = await token_for(gateway)
    first = await redeem(gateway, token, Idempotency_Key="k1")
    await expire_all(gateway)
    again = await redeem(gateway, token, Idempotency_Key="k1")
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert token not in str(await gateway.rows(IDEMPOTENCY))


async def test_no_key_makes_a_used_token_good_again(gateway: Gateway) -> None:
    token = await token_for(gateway)
    assert (await redeem(gateway, token)).status_code == 200
    problem(await redeem(gateway, token, Idempotency_Key="k1"), 410, "token_redeemed")
    problem(await redeem(gateway, token, Idempotency_Key="k1"), 410, "token_redeemed")


async def test_a_key_redeems_one_token_only(gateway: Gateway) -> None:
    first, second = await token_for(gateway), await token_for(gateway)
    assert (await redeem(gateway, first, Idempotency_Key="k1")).status_code == 200
    problem(await redeem(gateway, second, Idempotency_Key="k1"), 422, "key_reused")
    assert (await redeem(gateway, second)).status_code == 200


async def test_a_token_whose_key_is_missing_is_not_used_up(gateway: Gateway) -> None:
    token, key = await token_for(gateway), gateway.resources.keyring.names[0]
    having = gateway.resources.keyring
    gateway.resources.keyring = Keyring([bytes(KEY_BYTES)])
    with capture_logs() as said:
        refused = await redeem(gateway, token, Idempotency_Key="k1")
    problem(refused, 503, "sealing_key_missing")
    assert int(refused.headers["retry-after"]) > 0
    assert [line["key"] for line in said if line["event"] == "a sealing key is not configured here"] == [key]

    gateway.resources.keyring = having
    assert (await redeem(gateway, token, Idempotency_Key="k1")).json()["email"] == ADA["email"]
    gateway.resources.keyring = Keyring([bytes(KEY_BYTES)])
    problem(await redeem(gateway, token, Idempotency_Key="k1"), 503, "sealing_key_missing")


async def test_a_token_whose_address_was_altered_is_gone(gateway: Gateway) -> None:
    token, other = await token_for(gateway), await token_for(gateway)
    seals = {row["token_hash"]: row["sealed_email"] for row in await gateway.rows(PASSWORD_RESETS)}

    def swap(connection: Connection, hashes: Sequence[str]) -> list[None]:
        mine = PASSWORD_RESETS.c.token_hash == hashes[0]
        [foreign] = [sealed for name, sealed in seals.items() if name != hashes[0]]
        connection.execute(update(PASSWORD_RESETS).where(mine).values(sealed_email=foreign))
        return [None]

    await gateway.resources.records.write(swap, hashlib.sha256(token.encode()).hexdigest())
    problem(await redeem(gateway, token), 410, "token_broken")
    assert (await redeem(gateway, other)).status_code == 200


async def test_a_repeated_request_mails_no_second_token(gateway: Gateway) -> None:
    for _ in range(2):
        await gateway.post("/v1/password-resets", ADA, Idempotency_Key="k1")
    assert await gateway.count(PASSWORD_RESETS) == await gateway.count(TASKS) == 1


async def test_an_error_of_the_database_does_not_tell_the_token(gateway: Gateway) -> None:
    def drop(connection: Connection, items: Sequence[None]) -> Sequence[None]:
        PASSWORD_RESETS.drop(connection)
        return items

    await gateway.resources.records.write(drop, None)
    with capture_logs() as said:
        problem(await gateway.post("/v1/password-resets", ADA), 500, "internal_error")
    [error] = [str(line["exc_info"]) for line in said if line["event"] == "request failed"]
    assert "password_resets" in error
    assert "SQL parameters hidden" in error
    assert "ada@example.com" not in error
    assert await gateway.count(TASKS) == 0
