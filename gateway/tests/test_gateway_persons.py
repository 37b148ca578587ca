from pathlib import Path

import pytest
from gateway_under_test import EMAIL, Gateway, problem, running
from keys_under_test import key_in

from ledger import Scope
from ledger.schema import TASKS

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


async def test_an_administrator_erases_for_every_tenant_or_for_one(tmp_path: Path) -> None:
    async with running(tmp_path, gateway_auth="keys") as gateway:
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
