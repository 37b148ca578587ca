from collections.abc import Sequence
from pathlib import Path

import pytest
from keys_under_test import key_in
from sqlalchemy import Connection

from waybill_contracts.wire.lifecycle import LifecycleEvent, LifecycleType
from waybill_ledger import Scope, apply_events
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import letter_of
from waybill_ledger.schema.tables import TASKS
from waybill_testkit.gateway.in_process import EMAIL, Gateway, problem, running
from waybill_testkit.samples import dead_message, gate_of, reported, user_event

ADDRESS = {"address": EMAIL["to"].upper()}
SCHEDULE = {"name": "hello", "kind": "email.requested", "cron": "0 8 * * MON", "body": EMAIL}


async def test_a_repeat_of_what_was_erased_is_refused_and_says_so(gateway: Gateway) -> None:
    posted = EMAIL | {"delay_seconds": 60}
    for path, body in (("/v1/emails", posted), ("/v1/schedules", SCHEDULE)):
        assert (await gateway.post(path, body, idempotency_key="order-17")).is_success
    erased = await gateway.post("/v1/persons/erasures", ADDRESS | {"cancel_open": True})
    assert erased.status_code == 200, erased.text
    counts = erased.json()
    assert (counts["tasks"], counts["schedules"], counts["idempotency_keys"]) == (1, 1, 2)
    assert (counts["open"], counts["after"]) == ({}, None)
    for path, body in (("/v1/emails", posted), ("/v1/schedules", SCHEDULE)):
        refused = problem(await gateway.post(path, body, idempotency_key="order-17"), 422, "call_erased")
        assert "Nothing was done now" in refused["detail"]
        assert (await gateway.post(path, body, idempotency_key="order-18")).is_success
    assert await gateway.count(TASKS) == 2


async def test_an_administrator_erases_for_every_tenant_or_for_one(tmp_path: Path, ledger_url: str) -> None:
    async with running(tmp_path, ledger_url=ledger_url, gateway_auth="keys") as gateway:
        admin = await key_in(gateway, Scope.ADMIN)
        for tenant in ("acme", "beta"):
            key = await key_in(gateway, Scope.SUBMIT, tenant=tenant)
            await gateway.client.post("/v1/emails", json=EMAIL | {"delay_seconds": 60}, headers=key)

        async def step(**wanted: object) -> int:
            body = ADDRESS | {"cancel_open": True} | wanted
            answer = await gateway.client.post("/v1/persons/erasures", json=body, headers=admin)
            erased: int = answer.json()["tasks"]
            return erased

        assert await step(tenant="gamma") == 0
        assert await step(tenant="acme") == 1
        assert await step() == 1


@pytest.mark.parametrize("path", ["/v1/persons/lookups", "/v1/persons/erasures"])
async def test_what_is_no_address_is_refused_without_being_repeated(gateway: Gateway, path: str) -> None:
    refused = await gateway.post(path, {"address": "ada at home"})
    problem(refused, 422, "no_address")
    assert "ada" not in refused.text


async def test_the_desk_shows_an_erased_letter_and_says_why_it_cannot_be_redriven(gateway: Gateway) -> None:
    accepted = await gateway.post("/v1/users", {"email": EMAIL["to"], "name": "Ada"})
    task_id = accepted.json()["id"]
    for service in ("email", "sync"):
        died = reported(LifecycleType.DEAD, task_id, service=service, kind="user.created")
        await gateway.resources.records.write(applied, died)
    letter = letter_of(dead_message(user_event(), task_id), gate_of())
    await gateway.resources.records.write(take_in, letter)
    assert (await gateway.post("/v1/persons/erasures", ADDRESS)).json()["letters"] == 1

    [shown] = (await gateway.client.get("/v1/dead-letters")).json()["items"]
    whole = (await gateway.client.get(f"/v1/dead-letters/{shown['id']}")).json()
    assert (whole["effect"], whole["state"], whole["payload"]) == ("erased", "discarded", None)
    assert (whole["headers"], whole["traceback"], whole["error"]["message"]) == ({}, None, "[erased]")
    ids = {"ids": [shown["id"]]}
    problem(await gateway.post("/v1/redrives", ids), 422, "nothing_selected")
    assert (await gateway.post("/v1/dead-letters/restore", ids)).json()["changed"] == 1
    plan = (await gateway.post("/v1/redrives", ids)).json()["dry_run"]
    assert (plan["will_run"], plan["effects"]["erased"]) == (0, 1)
    patch = {"patch": [{"op": "replace", "path": "/name", "value": "Eve"}]}
    preview = (await gateway.post(f"/v1/dead-letters/{shown['id']}/preview", patch)).json()
    for errors in (plan["unfixable"][0]["errors"], preview["errors"]):
        assert errors[0]["message"] == "its content is no longer kept: it cannot be redriven or edited"


def applied(connection: Connection, events: Sequence[LifecycleEvent]) -> list[None]:
    apply_events(connection, events)
    return [None] * len(events)
