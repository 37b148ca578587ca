"""Who is let in, and who is not."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from fastapi import Request
from keys_under_test import bearer, id_of, key_in
from sqlalchemy import select, update

from waybill_gateway.auth import authenticator
from waybill_gateway.auth.actor import MAX_ACTOR
from waybill_gateway.auth.authenticator import GUESSES_AT_ONCE
from waybill_gateway.auth.key_cache import KnownKeys
from waybill_gateway.auth.scopes import NEEDED, OPEN, needed_by
from waybill_ledger import Scope, Secret
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import letter_of
from waybill_ledger.schema.key_table import API_KEYS
from waybill_testkit.eventually import eventually
from waybill_testkit.gateway.in_process import EMAIL, Gateway, problem, running, settings_in
from waybill_testkit.samples import dead_message, gate_of, sync_event

#: Longer than any revocation may take to be heard of, which docs/keys.md states.
STATED_SECONDS = 10.0
SYNC = {"target": "crm", "resource": "contacts", "id": "7", "data": {}}
A_KEY = {"name": "shop", "scopes": ["submit"]}


@pytest.fixture
async def stored(tmp_path: Path, ledger_url: str) -> AsyncIterator[Gateway]:
    async with running(tmp_path, ledger_url=ledger_url, gateway_auth="keys") as started:
        yield started


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, gateway_auth="keys") as started:
        yield started


#: Answers as long as the caller listens: `test_gateway_streams` has its tests.
ENDLESS = "watch_tasks"


def operations(gateway: Gateway) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in gateway.app.openapi()["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path.replace("{", "").replace("}", ""), operation


async def test_each_route_asks_for_a_key_but_those_that_are_open(gateway: Gateway) -> None:
    asked = set()
    await eventually(lambda: gateway.resources.relay.has_asked_the_broker)  # so that it has started
    for method, path, operation in operations(gateway):
        answer = await gateway.client.request(method, path)
        if operation["operationId"] in OPEN:
            # A link for browsers is its own key.
            assert answer.status_code == (404 if "/watch/token" in path else 200)
            assert "security" not in operation
            continue
        problem(answer, 401, "key_missing")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert {"401", "403", "429", "503"} <= operation["responses"].keys()
        asked.add(operation["operationId"])
    assert asked == NEEDED.keys()


async def test_each_route_needs_the_scope_that_is_said_for_it_and_no_other(gateway: Gateway) -> None:
    only = {scope: await key_in(gateway, scope) for scope in Scope}
    for method, path, operation in operations(gateway):
        needed = needed_by(operation["operationId"])
        if not needed:
            continue
        assert operation["security"] == [{"key": [scope]} for scope in needed]
        for scope, key in only.items():
            is_enough = scope in {*needed, Scope.ADMIN}
            if is_enough and operation["operationId"] == ENDLESS:
                continue
            answer = await gateway.client.request(method, path, headers=key)
            if is_enough:
                assert answer.status_code not in {401, 403}, (path, scope)
            else:
                assert " or ".join(needed) in problem(answer, 403, "scope_missing")["detail"]
                assert f'scope="{needed[0]}"' in answer.headers["www-authenticate"]


async def test_a_key_is_asked_for_before_a_body_is_read(gateway: Gateway) -> None:
    answer = await gateway.client.post("/v1/emails", content=b"{", headers={"Content-Type": "text/plain"})
    problem(answer, 401, "key_missing")


@pytest.mark.parametrize(
    "token", ["", "x", "wb_", "wb_1_", "wb__x", "wb_1_x", "wb_é_x", "wb_" + 100 * "x", "xx_1_x"]
)
async def test_what_is_no_key_is_refused(gateway: Gateway, token: str) -> None:
    answer = await gateway.client.get("/v1/tasks", headers=[(b"Authorization", f"Bearer {token}".encode())])
    problem(answer, 401, "key_unknown")
    assert "invalid_token" in answer.headers["www-authenticate"]


async def test_another_secret_for_a_known_id_is_refused(gateway: Gateway) -> None:
    key = await key_in(gateway, Scope.READ)
    assert (await gateway.client.get("/v1/tasks", headers=key)).status_code == 200
    other = bearer(Secret.new(id_of(key)).token)
    problem(await gateway.client.get("/v1/tasks", headers=other), 401, "key_unknown")


async def test_a_key_that_has_expired_is_told_so(gateway: Gateway) -> None:
    key = await key_in(gateway, Scope.READ, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    problem(await gateway.client.get("/v1/tasks", headers=key), 401, "key_ended")


async def test_a_key_is_made_used_rotated_and_revoked_over_the_api(stored: Gateway) -> None:
    admin = await key_in(stored, Scope.ADMIN, name="root")
    made = await stored.client.post("/v1/keys", json=A_KEY, headers=admin)
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    key = made.json()
    assert (key["tenant"], key["scopes"], key["created_by"]) == ("default", ["submit"], "root")
    first = bearer(key["token"])
    assert (await stored.client.post("/v1/emails", json=EMAIL, headers=first)).status_code == 202

    path = made.headers["location"]
    rotated = await stored.client.post(f"{path}/rotate", json={"overlap_seconds": 60}, headers=admin)
    second = bearer(rotated.json()["token"])
    assert first != second
    for either in (first, second):
        assert (await stored.client.post("/v1/emails", json=EMAIL, headers=either)).status_code == 202
    again = await stored.client.post(f"{path}/rotate", json={"overlap_seconds": 0}, headers=admin)
    third = bearer(again.json()["token"])
    for before in (first, second):
        answer = await stored.client.post("/v1/emails", json=EMAIL, headers=before)
        problem(answer, 401, "key_unknown")
    assert (await stored.client.post("/v1/emails", json=EMAIL, headers=third)).status_code == 202

    revoked = await stored.client.delete(path, headers=admin | {"X-Actor": "ann"})
    assert revoked.json()["revoked_at"] is not None
    problem(await stored.client.post("/v1/emails", json=EMAIL, headers=third), 401, "key_ended")
    answer = await stored.client.post(f"{path}/rotate", json={}, headers=admin)
    problem(answer, 409, "key_ended")
    shown = (await stored.client.get(path, headers=admin)).json()
    assert "token" not in shown
    assert shown["revoked_at"] == revoked.json()["revoked_at"]


async def test_the_audit_trail_names_the_key_beside_who_acts(stored: Gateway) -> None:
    scopes = (Scope.SUBMIT, Scope.READ, Scope.OPERATE)
    key = await key_in(stored, *scopes, name="desk")
    for actor in ({"X-Actor": "ann"}, {"X-Actor": "x" * MAX_ACTOR}, {}):
        task = (await stored.client.post("/v1/syncs", json=SYNC, headers=key)).json()["id"]
        letter = letter_of(dead_message(sync_event(), task), gate=gate_of())
        await stored.resources.records.write(take_in, letter)
        [shown] = (await stored.client.get("/v1/dead-letters?state=dead", headers=key)).json()["items"]
        wish = {"ids": [shown["id"]], "reason": "because"}
        answer = await stored.client.post("/v1/dead-letters/discard", json=wish, headers=key | actor)
        assert answer.status_code == 200, answer.text
    trail = (await stored.client.get("/v1/dead-letters/audit", headers=key)).json()["items"]
    cut = (MAX_ACTOR - len(" (key desk)")) * "x"
    assert [entry["actor"] for entry in trail[::-1]] == ["ann (key desk)", f"{cut} (key desk)", "desk"]


async def test_keys_are_listed_page_by_page_and_by_tenant(stored: Gateway) -> None:
    admin = await key_in(stored, Scope.ADMIN)
    for number in range(5):
        body = A_KEY | {"tenant": f"tenant-{number % 2}"}
        assert (await stored.client.post("/v1/keys", json=body, headers=admin)).status_code == 201
    listed, cursor = [], None
    while True:
        params = {"limit": "4"} | ({"cursor": cursor} if cursor else {})
        page = (await stored.client.get("/v1/keys", params=params, headers=admin)).json()
        listed += [key["id"] for key in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(listed) == len(set(listed)) == 6
    of_one = await stored.client.get("/v1/keys", params={"tenant": "tenant-1"}, headers=admin)
    assert [key["tenant"] for key in of_one.json()["items"]] == 2 * ["tenant-1"]
    problem(await stored.client.get("/v1/keys?cursor=x", headers=admin), 422, "bad_cursor")


async def test_an_unknown_key_is_not_found(gateway: Gateway) -> None:
    admin = await key_in(gateway, Scope.ADMIN)
    problem(await gateway.client.get("/v1/keys/0", headers=admin), 404, "no_such_key")
    problem(await gateway.client.delete("/v1/keys/0", headers=admin), 404, "no_such_key")
    rotated = await gateway.client.post("/v1/keys/0/rotate", json={}, headers=admin)
    problem(rotated, 404, "no_such_key")


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"tenant": "Not A Name"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"rate": 0},
        {"burst": 0},
        {"name": ""},
    ],
)
async def test_a_key_that_makes_no_sense_is_not_made(gateway: Gateway, wrong: dict[str, Any]) -> None:
    admin = await key_in(gateway, Scope.ADMIN)
    answer = await gateway.client.post("/v1/keys", json=A_KEY | wrong, headers=admin)
    [fault] = problem(answer, 422, "invalid_request")["errors"]
    assert fault["field"].split(".")[0] in wrong


async def test_a_revocation_is_heard_of_in_every_gateway_within_the_stated_time(
    tmp_path: Path, ledger_url: str
) -> None:
    async with AsyncExitStack() as stack:
        changes = {"ledger_url": ledger_url, "gateway_auth": "keys"}
        # As it is by default, but for the waiting: the time that is stated is the setting's upper bound.
        here = await stack.enter_async_context(running(tmp_path, key_fresh_seconds=1, **changes))
        there = await stack.enter_async_context(running(tmp_path, key_fresh_seconds=1, **changes))
        admin, key = await key_in(here, Scope.ADMIN), await key_in(here, Scope.READ)
        for gateway in (here, there):
            assert (await gateway.client.get("/v1/tasks", headers=key)).status_code == 200
        await here.client.delete(f"/v1/keys/{id_of(key)}", headers=admin)
        revoked_at = monotonic()
        problem(await here.client.get("/v1/tasks", headers=key), 401, "key_ended")
        while (await there.client.get("/v1/tasks", headers=key)).status_code == 200:
            assert monotonic() - revoked_at < STATED_SECONDS
            await asyncio.sleep(0.05)


def test_no_setting_makes_a_revocation_take_longer_than_stated(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="key_fresh_seconds"):
        settings_in(tmp_path, key_fresh_seconds=STATED_SECONDS + 1)


async def test_a_key_is_looked_up_once_however_many_requests_come_with_it(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await key_in(gateway, Scope.SUBMIT)
    looked: list[str] = []
    look_up = KnownKeys._look_up  # noqa: SLF001 - counted

    async def counted(self: KnownKeys, key_id: str) -> Any:
        looked.append(key_id)
        return await look_up(self, key_id)

    monkeypatch.setattr(KnownKeys, "_look_up", counted)

    async def post() -> int:
        return (await gateway.client.post("/v1/emails", json=EMAIL, headers=key)).status_code

    assert set(await asyncio.gather(*(post() for _ in range(50)))) == {202}
    assert looked == [id_of(key)]


async def test_who_asks_too_often_is_told_when_to_come_back(gateway: Gateway) -> None:
    # One in a thousand seconds: none comes back while this runs, however slowly.
    key = await key_in(gateway, Scope.READ, rate=0.001, burst=3)
    other = await key_in(gateway, Scope.READ, rate=0.001, burst=3)
    for _ in range(3):
        assert (await gateway.client.get("/v1/tasks", headers=key)).status_code == 200
    answer = await gateway.client.get("/v1/tasks", headers=key)
    problem(answer, 429, "too_many_requests")
    assert answer.headers["retry-after"] == "1000"
    assert answer.headers["ratelimit-policy"] == '"key";q=3;w=3000'
    assert answer.headers["ratelimit"] == '"key";r=0;t=1000'
    assert (await gateway.client.get("/v1/tasks", headers=other)).status_code == 200


async def test_a_key_may_have_a_smaller_limit_of_its_own_for_bodies(gateway: Gateway) -> None:
    key = await key_in(gateway, Scope.SUBMIT, max_body_bytes=200)
    assert (await gateway.client.post("/v1/emails", json=EMAIL, headers=key)).status_code == 202
    answer = await gateway.client.post("/v1/emails", json=EMAIL | {"text": 200 * "x"}, headers=key)
    assert "200 bytes" in problem(answer, 413, "too_large")["detail"]


async def test_whoever_guesses_is_slowed_down_and_keys_in_use_are_not(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One in a thousand seconds: none expires during this test, however slow it is.
    monkeypatch.setattr(authenticator, "GUESSES_A_MINUTE", 0.06)
    key = await key_in(gateway, Scope.READ)
    assert (await gateway.client.get("/v1/tasks", headers=key)).status_code == 200

    async def guess() -> httpx.Response:
        return await gateway.client.get("/v1/tasks", headers=bearer(Secret.new().token))

    for _ in range(GUESSES_AT_ONCE):
        problem(await guess(), 401, "key_unknown")

    async def no_look(*_args: object) -> None:
        raise AssertionError("the ledger is asked")

    with monkeypatch.context() as patched:
        patched.setattr(KnownKeys, "_look_up", no_look)
        answer = await guess()
    problem(answer, 429, "too_many_requests")
    assert answer.headers["retry-after"] == "1000"
    # Also once the key is due to be looked up again.
    gateway.app.state.known_keys.invalidate(id_of(key))
    assert (await gateway.client.get("/v1/tasks", headers=key)).status_code == 200


@pytest.mark.parametrize(
    ("one", "other"), [("2001:db8::1", "2001:db8::ffff"), ("192.0.2.1", "192.0.2.1"), ("client", "client")]
)
def test_addresses_of_one_customer_count_as_one(one: str, other: str) -> None:
    def network(host: str) -> str:
        request = Request({"type": "http", "headers": [], "client": (host, 1)})
        return authenticator._address(request)  # noqa: SLF001 - what it comes to

    assert network(one) == network(other)
    assert network("2001:db8::1") != network("2001:db8:0:1::1")


async def test_the_last_use_of_a_key_is_written_down_beside_the_requests(
    tmp_path: Path, ledger_url: str
) -> None:
    async with running(tmp_path, ledger_url=ledger_url, gateway_auth="keys") as gateway:
        before = gateway.resources.records.now()
        key = await key_in(gateway, Scope.READ)
        await gateway.client.get("/v1/tasks", headers=key)
        [row] = await gateway.rows(select(API_KEYS.c.last_used_at))
        assert row["last_used_at"] is None
    async with running(tmp_path, ledger_url=ledger_url) as gateway:
        [row] = await gateway.rows(select(API_KEYS.c.last_used_at))
        assert before <= row["last_used_at"] <= before + timedelta(minutes=1)


async def test_nothing_of_a_secret_is_in_any_log_metric_or_answer(
    gateway: Gateway, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    admin = await key_in(gateway, Scope.ADMIN)
    made = (await gateway.client.post("/v1/keys", json=A_KEY, headers=admin)).json()
    key = bearer(made["token"])
    bodies = []
    for method, path, operation in operations(gateway):
        if operation["operationId"] == ENDLESS:
            continue
        for header in (admin, key, {"Authorization": f"Bearer {made['token']}x"}):
            answer = await gateway.client.request(method, path, headers=header)
            bodies.append(answer.text + str(answer.headers))
    bodies.append(repr(gateway.app.state.known_keys._known))  # noqa: SLF001 - as a traceback would show it
    rows = await gateway.rows(select(API_KEYS))
    hidden = [row["secret_hash"] for row in rows] + [
        header["Authorization"].split("_", 2)[2] for header in (admin, key)
    ]
    written = caplog.text + "".join(capsys.readouterr()) + "".join(bodies)
    assert [secret for secret in hidden if secret in written] == []
    assert made["id"] in written


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example.com"])
def test_an_open_gateway_that_others_can_reach_is_refused_unless_it_is_said_twice(
    tmp_path: Path, host: str
) -> None:
    with pytest.raises(ValueError, match="WAYBILL_GATEWAY_OPEN_TO_ANYONE"):
        settings_in(tmp_path, host=host, gateway_auth="open")
    assert settings_in(tmp_path, host=host, gateway_auth="open", gateway_open_to_anyone=True).host == host
    assert settings_in(tmp_path, host=host, gateway_auth="keys").host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_an_open_gateway_on_the_loopback_asks_nobody(tmp_path: Path, host: str) -> None:
    async with running(tmp_path, host=host, gateway_auth="open") as gateway:
        assert (await gateway.post("/v1/emails", EMAIL)).status_code == 202


async def test_a_key_changed_in_the_ledger_counts_as_it_is_there(stored: Gateway) -> None:
    key = await key_in(stored, Scope.READ)
    assert (await stored.client.get("/v1/tasks", headers=key)).status_code == 200
    changed = update(API_KEYS).values(scopes=["submit", "of a newer release"])
    await stored.resources.records.write(lambda c, _: [c.execute(changed)], None)
    stored.app.state.known_keys.invalidate(id_of(key))
    problem(await stored.client.get("/v1/tasks", headers=key), 403, "scope_missing")
