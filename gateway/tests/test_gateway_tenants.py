"""What one tenant has, another cannot see or change; over every route that there is."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from keys_under_test import key_in
from sqlalchemy import select

from waybill_contracts.wire.lifecycle import ErrorInfo
from waybill_gateway.auth.scopes import NEEDED, OPEN
from waybill_ledger import Scope
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import letter_of
from waybill_ledger.schema.tables import METADATA, TASKS
from waybill_testkit.gateway.in_process import EMAIL, Gateway, problem, running
from waybill_testkit.samples import dead_message, gate_of, sync_event

TENANT_SCOPES = (Scope.SUBMIT, Scope.READ, Scope.OPERATE, Scope.REVEAL)
#: Part of all data of the first tenant, so that any leak of it is found.
MARK = "first-tenants-own"
SYNC = {"target": "crm", "resource": "contacts", "id": MARK, "data": {"name": MARK}}
SCHEDULE = {"name": MARK, "kind": "email.requested", "cron": "0 8 * * MON", "body": EMAIL}
WHY = {"reason": "because"}
#: A body that would do something, for each route that takes one and names nothing of another's.
BODIES: dict[str, dict[str, Any]] = {
    "change_schedule": {"paused": True},
    "note_dead_letter_group": {"note": "mine now"},
    "archive_dead_letter_group": WHY,
    "restore_dead_letter_group": WHY,
    "discard_dead_letters": {"filter": {"service": "sync"}, **WHY},
    "archive_dead_letters": {"filter": {"service": "sync"}, **WHY},
    "restore_dead_letters": {"filter": {"service": "sync"}, **WHY},
    "preview_edit": {"patch": [{"op": "replace", "path": "/id", "value": "8"}]},
    **dict.fromkeys(("reveal_task", "reveal_schedule", "reveal_dead_letter", "reveal_planned_letter"), WHY),
    "plan_redrive": {"filter": {"service": "sync"}},
    "start_redrive": {"hash": 64 * "0"},
    "pause_redrive": {},
    "resume_redrive": {},
    "cancel_redrive": {},
}
#: They make something of the caller's own: another test shows whose.
MAKING = {
    *("post_email", "post_file", "post_image", "post_password_reset", "post_sync", "post_user"),
    *("post_schedule", "post_task", "post_tasks"),
}
#: They show what belongs to the installation: kinds and services, which hold no data of anybody.
SHARED = {"get_kinds", "get_kind", "get_services", "get_service"}


@pytest.fixture
async def gateway(tmp_path: Path, ledger_url: str) -> AsyncIterator[Gateway]:
    async with running(tmp_path, ledger_url=ledger_url, gateway_auth="keys") as started:
        yield started


async def furnished(gateway: Gateway, key: dict[str, str]) -> dict[str, str]:
    """Gives a tenant something of every kind; the ids by the names of path parameters."""
    client = gateway.client
    task = (await client.post("/v1/syncs", json=SYNC, headers=key)).json()["id"]
    schedule = (await client.post("/v1/schedules", json=SCHEDULE, headers=key)).json()["id"]
    error = ErrorInfo(type="PermanentError", message=f"refused {MARK}")
    letter = letter_of(dead_message(sync_event(MARK), task, error=error), gate=gate_of())
    await gateway.resources.records.write(take_in, letter)
    [shown] = (await client.get("/v1/dead-letters", headers=key)).json()["items"]
    [group] = (await client.get("/v1/dead-letters/groups", headers=key)).json()["items"]
    planned = await client.post(
        "/v1/redrives", json={"filter": {"service": "sync"}, "note": MARK}, headers=key
    )
    return {
        "task_id": task,
        "schedule_id": schedule,
        "letter_id": str(shown["id"]),
        "group": group["id"],
        "redrive_id": str(planned.json()["id"]),
        "variant": "thumb",
        "name": "invoice.pdf",
    }


async def everything(gateway: Gateway, redrive_id: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of the ledger but the keys', which are used; of redrives only one.

    Of a stranger's redrives there may be more: a plan that came to nothing is pruned later.
    """
    rows = {
        table.name: await gateway.rows(table) for table in METADATA.sorted_tables if table.name != "api_keys"
    }
    rows["redrives"] = [row for row in rows["redrives"] if str(row["id"]) == redrive_id]
    return rows


#: Has a test of its own: `test_gateway_streams`.
ENDLESS = "watch_tasks"


@pytest.mark.parametrize(("one", "other"), [("default", "acme"), ("acme", "default"), ("acme", "beta")])
async def test_no_route_shows_or_changes_what_another_tenant_has(
    gateway: Gateway, one: str, other: str
) -> None:
    ids = await furnished(gateway, await key_in(gateway, *TENANT_SCOPES, tenant=one))
    stranger = await key_in(gateway, *TENANT_SCOPES, tenant=other)
    before = await everything(gateway, ids["redrive_id"])
    assert len(before["redrives"]) == 1
    tried = set()
    for path, item in gateway.app.openapi()["paths"].items():
        for method, operation in item.items():
            name = operation["operationId"]
            tried.add(name)
            if (
                name in OPEN | MAKING | SHARED
                or NEEDED[name] not in TENANT_SCOPES
                or name in {"redeem_password_reset", ENDLESS}
            ):
                continue
            answer = await gateway.client.request(
                method.upper(), path.format(**ids), json=BODIES.get(name), headers=stranger
            )
            if "{" in path:
                assert answer.status_code == 404, (name, answer.text)
            else:
                assert answer.status_code in {200, 422}, (name, answer.text)
            shown = answer.text + json.dumps(dict(answer.headers))
            assert MARK not in shown, name
            assert ids["task_id"] not in shown, name
    # What is open and not described is of browsers: pages, and files for them.
    assert NEEDED.keys() <= tried <= OPEN | NEEDED.keys()
    assert await everything(gateway, ids["redrive_id"]) == before


async def test_another_tenant_may_use_the_same_names_and_idempotency_keys(gateway: Gateway) -> None:
    made = {}
    for tenant in ("default", "acme", "beta"):
        key = await key_in(gateway, *TENANT_SCOPES, tenant=tenant)
        headers = key | {"Idempotency-Key": "order-17"}
        tasks = set()
        for _ in range(2):
            accepted = await gateway.client.post("/v1/emails", json=EMAIL, headers=headers)
            tasks.add(accepted.json()["id"])
            scheduled = await gateway.client.post("/v1/schedules", json=SCHEDULE, headers=headers)
            assert scheduled.status_code == 201, scheduled.text
        [made[tenant]] = tasks
        listed = await gateway.client.get("/v1/tasks", headers=key)
        assert [task["id"] for task in listed.json()["items"]] == [made[tenant]]
        schedules = await gateway.client.get("/v1/schedules", params={"name": MARK}, headers=key)
        assert [schedule["name"] for schedule in schedules.json()["items"]] == [MARK]
        account = (await gateway.client.get("/v1/accounting", headers=key)).json()
        assert account["total"]["accepted"] == 1
    assert len(set(made.values())) == 3
    tenants = {row["id"]: row["tenant"] for row in await gateway.rows(select(TASKS.c.id, TASKS.c.tenant))}
    assert tenants == {task_id: tenant for tenant, task_id in made.items()}
    admin = await key_in(gateway, Scope.ADMIN)
    account = (await gateway.client.get("/v1/accounting", headers=admin)).json()
    assert account["total"]["accepted"] == 3
    schedules = await gateway.client.get("/v1/schedules", params={"name": MARK}, headers=admin)
    assert len(schedules.json()["items"]) == 3


async def test_letters_that_failed_alike_are_in_a_group_for_each_tenant(gateway: Gateway) -> None:
    groups = {}
    for tenant in ("default", "acme", "beta"):
        groups[tenant] = (await furnished(gateway, await key_in(gateway, *TENANT_SCOPES, tenant=tenant)))[
            "group"
        ]
    assert len(set(groups.values())) == 3
    admin = await key_in(gateway, Scope.ADMIN)
    listed = (await gateway.client.get("/v1/dead-letters/groups", headers=admin)).json()["items"]
    assert {group["id"] for group in listed} == set(groups.values())


async def test_a_letter_that_no_task_is_known_of_is_for_administrators_alone(gateway: Gateway) -> None:
    error = ErrorInfo(type="PermanentError", message="whose is this")
    letter = letter_of(
        dead_message(sync_event(), "01a20797-6d09-71fe-b759-803ec3a459ee", error=error), gate=gate_of()
    )
    await gateway.resources.records.write(take_in, letter)
    for tenant in ("default", "acme"):
        key = await key_in(gateway, *TENANT_SCOPES, tenant=tenant)
        for path in ("/v1/dead-letters", "/v1/dead-letters/groups"):
            assert (await gateway.client.get(path, headers=key)).json()["items"] == []
    admin = await key_in(gateway, Scope.ADMIN)
    assert len((await gateway.client.get("/v1/dead-letters", headers=admin)).json()["items"]) == 1


async def test_a_reset_token_is_redeemed_by_its_own_tenant_alone(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = 43 * "t"
    own, other = [await key_in(gateway, Scope.SUBMIT, tenant=name) for name in "ab"]
    monkeypatch.setattr("waybill_gateway.password_resets.routes.secrets.token_urlsafe", lambda _: token)
    posted = await gateway.client.post("/v1/password-resets", json={"email": "ann@example.com"}, headers=own)
    assert posted.status_code == 202
    path, body = "/v1/password-resets/redeem", {"token": token}
    problem(await gateway.client.post(path, json=body, headers=other), 404, "token_unknown")
    assert (await gateway.client.post(path, json=body, headers=own)).status_code == 200


async def test_every_tenant_may_see_kinds_and_services_and_a_deployer_nothing_else(gateway: Gateway) -> None:
    task = (
        await gateway.client.post("/v1/syncs", json=SYNC, headers=await key_in(gateway, Scope.SUBMIT))
    ).json()
    paths = ("/v1/kinds", "/v1/kinds/sync.requested", "/v1/services", "/v1/services/sync")
    reader = await key_in(gateway, Scope.READ, tenant="acme")
    deployer = await key_in(gateway, Scope.DEPLOY, tenant="acme")
    for path in paths:
        for key in (reader, deployer):
            assert (await gateway.client.get(path, headers=key)).status_code == 200
    answer = await gateway.client.get(f"/v1/tasks/{task['id']}", headers=deployer)
    problem(answer, 403, "scope_missing")
    problem(await gateway.client.delete("/v1/services/sync", headers=reader), 403, "scope_missing")
    # The answer counts the open work, and does not show whose it is.
    refused = await gateway.client.delete("/v1/services/sync", headers=deployer)
    assert "1 open task" in problem(refused, 409, "service_in_use")["detail"]
    assert task["id"] not in refused.text
