"""What is another tenant's is not there: on no page, in no form, by no id that was written by hand."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from keys_under_test import key_in
from test_gateway_failure_desk import SYNC
from test_gateway_schedules import HEARTBEAT
from test_pages import signed_in, token_in
from visiting import text_of

from waybill_ledger import Scope
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import letter_of
from waybill_ledger.schema.tables import SCHEDULES, TASKS
from waybill_testkit.gateway.in_process import Gateway, running
from waybill_testkit.samples import dead_message, gate_of, sync_event

SCOPES = (Scope.READ, Scope.SUBMIT, Scope.OPERATE, Scope.REVEAL)


@pytest.fixture
def database_system() -> str:
    """Nothing here depends on it."""
    return "sqlite"


@pytest.fixture
async def keyed(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, gateway_auth="keys") as started:
        yield started


async def test_a_stranger_finds_and_changes_nothing(keyed: Gateway) -> None:
    acme = await key_in(keyed, *SCOPES, tenant="acme")
    accepted = await keyed.client.post("/v1/syncs", json=SYNC | {"delay_seconds": 60}, headers=acme)
    task = accepted.json()["id"]
    made = await keyed.client.post("/v1/schedules", json=HEARTBEAT, headers=acme)
    schedule = made.json()["id"]
    letter = letter_of(dead_message(sync_event(), task), gate=gate_of())
    await keyed.resources.records.write(take_in, letter)
    assert (await keyed.client.get("/v1/dead-letters/1", headers=acme)).status_code == 200

    await signed_in(keyed, *SCOPES)
    for path in (
        *(f"/ui/tasks/{task}", f"/ui/tasks/{task}/again", f"/ui/schedules/{schedule}"),
        *("/ui/letters/1", "/ui/letters/1/edit"),
    ):
        assert (await keyed.client.get(path)).status_code == 404, path
    for path, words in {
        "/ui/tasks/cancel?kind=sync.requested": "No open task matches.",
        "/ui/letters": "There is no dead letter.",
        "/ui/letters/chosen?service=sync": "No letter matches any more.",
        "/ui/schedules": "There is no schedule yet.",
        "/ui/audit": "Nobody has acted yet.",
    }.items():
        assert words in text_of(await keyed.client.get(path)), path
    exported = await keyed.client.get("/ui/letters/export")
    assert (exported.status_code, exported.text) == (200, "")

    token = {"form_token": token_in(await keyed.client.get("/ui/tasks"))}
    answer = await keyed.client.post("/ui/tasks/cancel", data=token | {"ids": task})
    assert "not there 1" in text_of(answer)
    for action in ("run", "pause", "delete"):
        answer = await keyed.client.post(f"/ui/schedules/{schedule}/{action}", data=token)
        assert answer.status_code == 404, action
    answer = await keyed.client.post("/ui/letters/discard", data=token | {"ids": "1", "reason": "mine"})
    assert answer.headers["location"].endswith("changed=0")
    for action in ("edit", "redrive", "edit/reveal"):
        answer = await keyed.client.post(f"/ui/letters/1/{action}", data=token | {"reason": "mine"})
        assert answer.status_code == 404, action
    [kept] = await keyed.rows(TASKS)
    assert kept["state"] == "scheduled"
    [row] = await keyed.rows(SCHEDULES)
    assert not row["paused"]
