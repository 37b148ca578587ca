"""Schedules, keys, accounting and the audit trail on the page."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from keys_under_test import key_in
from sqlalchemy import update
from test_gateway_schedules import NIGHTLY, made
from test_pages import signed_in, token_in
from visiting import filled, followed, sent, text_of

from waybill_ledger import Scope
from waybill_ledger.schema.tables import SCHEDULES, TASKS
from waybill_testkit.gateway.in_process import Gateway, problem, running

NEW = "/ui/schedules/new?kind=sync.requested"
GIVEN = {
    "name": "beat",
    "cron": "30 8 * * MON",
    "timezone": "Europe/Berlin",
    "data.target": "crm",
    "data.resource": "beats",
    "data.id": "w",
    "data.data": "{}",
}


@pytest.fixture
def database_system() -> str:
    """Nothing here depends on it."""
    return "sqlite"


@pytest.fixture
async def keyed(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, gateway_auth="keys") as started:
        yield started


async def test_a_schedule_is_made_of_any_kind_paused_resumed_run_and_deleted(gateway: Gateway) -> None:
    choice = text_of(await gateway.client.get("/ui/schedules/new"))
    assert "sync.requested" in choice
    assert "image.uploaded" not in choice, "it needs a file"
    page = await followed(gateway, await sent(gateway, NEW, "schedules/new", **GIVEN))
    words = text_of(page)
    assert "The schedule is stored." in words
    assert "Mon 20" in words
    assert words.count(" 08:30 CE") == 5, "in its zone"
    here = page.url.path
    words = text_of(await followed(gateway, await sent(gateway, here, "/pause")))
    assert "None while it is paused." in words
    ran = await sent(gateway, here, "/run")
    assert "Accepted" in text_of(await followed(gateway, ran))
    [task] = await gateway.rows(TASKS)
    assert (task["kind"], task["correlation_id"]) == ("sync.requested", "beat")
    assert "Resumed" in text_of(await followed(gateway, await sent(gateway, here, "/resume")))
    assert task["id"] in (await gateway.client.get(here)).text
    await followed(gateway, await sent(gateway, here, "/delete"))
    assert await gateway.rows(SCHEDULES) == []


async def test_a_form_that_is_sent_twice_makes_one_schedule_and_one_run(gateway: Gateway) -> None:
    address, fields = await filled(gateway, NEW, "schedules/new", **GIVEN)
    first = await gateway.client.post(address, data=fields)
    second = await gateway.client.post(address, data=fields)
    assert (first.status_code, second.status_code) == (303, 303)
    page = await followed(gateway, first)
    address, fields = await filled(gateway, page.url.path, "/run")
    for _ in range(2):
        assert (await gateway.client.post(address, data=fields)).status_code == 303
    assert (len(await gateway.rows(SCHEDULES)), len(await gateway.rows(TASKS))) == (1, 1)


async def test_what_is_wrong_with_a_schedule_is_said_at_its_field(gateway: Gateway) -> None:
    wrong = GIVEN | {"cron": "61 * * * *"}
    answer = await sent(gateway, NEW, "schedules/new", **wrong)
    assert answer.status_code == 422
    assert 'id="cron-fault">no cron expression' in answer.text
    answer = await sent(gateway, NEW, "schedules/new", **GIVEN | {"data.id": "no id", "data.data": "{"})
    assert 'id="data.data-fault">is not JSON' in answer.text
    answer = await sent(gateway, NEW, "schedules/new", **GIVEN | {"data.id": "no id"})
    assert 'id="data.id-fault">' in answer.text
    assert 'value="no id"' in answer.text
    await followed(gateway, await sent(gateway, NEW, "schedules/new", **GIVEN))
    answer = await sent(gateway, NEW, "schedules/new", **GIVEN)
    assert answer.status_code == 409
    assert 'id="name-fault">another schedule has this name' in answer.text


async def test_a_run_by_hand_makes_one_task_for_each_call(gateway: Gateway) -> None:
    view = await made(gateway, NIGHTLY | {"paused": True})
    path = f"{view['links']['self']}/run"
    first = await gateway.client.post(path, headers={"Idempotency-Key": "a"})
    again = await gateway.client.post(path, headers={"Idempotency-Key": "a"})
    other = await gateway.client.post(path)
    assert (first.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert other.json()["id"] != first.json()["id"]
    shown = (await gateway.client.get(view["links"]["self"])).json()
    assert [task["id"] for task in shown["last_tasks"]] == [other.json()["id"], first.json()["id"]]
    assert (shown["paused"], shown["last_slot_at"]) == (True, None)


async def test_what_cannot_be_run_any_more_is_refused(gateway: Gateway) -> None:
    view = await made(gateway, NIGHTLY | {"paused": True})
    with gateway.resources.records.engine.begin() as connection:
        connection.execute(update(SCHEDULES).values(kind="gone.requested"))
    problem(await gateway.client.post(f"{view['links']['self']}/run"), 409, "cannot_run")
    assert await gateway.rows(TASKS) == []
    unknown = "/v1/schedules/01a20797-6d09-71fe-b759-803ec3a459ee/run"
    problem(await gateway.client.post(unknown), 404, "no_such_schedule")


async def test_the_token_of_a_key_is_shown_once_and_the_key_ends(keyed: Gateway) -> None:
    await signed_in(keyed, Scope.ADMIN)
    answer = await sent(keyed, "/ui/keys", "/keys", **{"name": "ann", "scope.read": "yes"})
    token = answer.text.partition('class="secret">')[2].partition("<")[0]
    assert token.startswith("wb_")
    key = {"Authorization": f"Bearer {token}"}
    assert (await keyed.client.get("/v1/tasks", headers=key)).status_code == 200
    page = await keyed.client.get("/ui/keys")
    assert token not in page.text
    assert "ann valid default read" in text_of(page)
    name = token.split("_")[1]
    rotated = await sent(keyed, "/ui/keys", f"{name}/rotate")
    assert 'class="secret">wb_' in rotated.text
    words = text_of(await followed(keyed, await sent(keyed, "/ui/keys", f"{name}/revoke")))
    assert "Revoked: here at once" in words
    problem(await keyed.client.get("/v1/tasks", headers=key), 401, "key_ended")


async def test_a_key_that_cannot_be_made_is_refused_at_the_form(keyed: Gateway) -> None:
    await signed_in(keyed, Scope.ADMIN)
    answer = await sent(keyed, "/ui/keys", "/keys", name="ann")
    assert answer.status_code == 422
    assert 'id="scopes-fault">List should have at least 1 item' in answer.text
    given = {"name": "ann", "scope.read": "yes", "expires_at": "2001-01-01T00:00:00Z"}
    answer = await sent(keyed, "/ui/keys", "/keys", **given)
    assert 'id="expires_at-fault">is in the past' in answer.text


async def test_who_is_no_administrator_sees_no_keys(keyed: Gateway) -> None:
    await signed_in(keyed, Scope.READ, Scope.SUBMIT)
    page = await keyed.client.get("/ui/tasks")
    assert "/ui/keys" not in page.text
    assert (await keyed.client.get("/ui/keys")).status_code == 403
    form = {"form_token": token_in(page), "name": "me", "scope.admin": "yes"}
    assert (await keyed.client.post("/ui/keys", data=form)).status_code == 403


async def test_the_audit_trail_is_filtered_and_leads_to_what_it_names(gateway: Gateway) -> None:
    view = await made(gateway, NIGHTLY)
    for reason in ("ticket 7", "ticket 8"):
        await gateway.client.post(f"{view['links']['self']}/reveal", json={"reason": reason})
    page = await gateway.client.get("/ui/audit?action=reveal&within=1h&limit=1")
    assert "ticket 8" in page.text
    assert "ticket 7" not in page.text
    assert f'/ui/schedules/{view["id"]}"' in page.text
    following = page.text.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    assert (
        "ticket 7"
        in (await gateway.client.get(f"/ui/{following.removeprefix('../ui/')}".replace("&amp;", "&"))).text
    )
    assert "No entry matches." in (await gateway.client.get("/ui/audit?action=erase")).text


async def test_the_account_counts_by_kind(gateway: Gateway) -> None:
    await made(gateway, NIGHTLY)
    await gateway.post("/v1/emails", NIGHTLY["body"])
    words = text_of(await gateway.client.get("/ui/accounting?within=1h"))
    assert "Balanced. 1 tasks were accepted" in words
    assert "email.requested 1 0 0 0 0 1 0 0 0 all kinds 1" in words
    assert (
        await gateway.client.get("/ui/accounting?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z")
    ).status_code == 422


async def test_a_session_may_see_only_what_its_key_may(keyed: Gateway) -> None:
    await key_in(keyed, Scope.ADMIN)
    await signed_in(keyed, Scope.READ)
    for path in ("/ui/kinds/email.requested/new", "/ui/schedules/new", "/ui/keys"):
        assert (await keyed.client.get(path)).status_code == 403, path
    for path in ("/ui/kinds", "/ui/services", "/ui/schedules", "/ui/accounting", "/ui/audit"):
        assert (await keyed.client.get(path)).status_code == 200, path
