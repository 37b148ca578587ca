"""Sealed data is shown to callers that may see it and give a reason; the audit trail records it."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from keys_under_test import id_of, key_in
from sqlalchemy import select, update

from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.privacy.seal import Keyring, is_sealed
from waybill_contracts.wire.lifecycle import ErrorInfo, LifecycleType
from waybill_ledger import PendingMessage, Scope, apply_events
from waybill_ledger.acceptance.new_task import NewTask
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import letter_of
from waybill_ledger.deadletters.redrives.execution import Turn, may_send, send
from waybill_ledger.schema.desk_tables import DEAD_LETTER_MESSAGES, DESK_AUDIT, REDRIVE_LETTERS
from waybill_ledger.schema.tables import TASKS
from waybill_testkit.gateway.in_process import EMAIL, Gateway, problem, running
from waybill_testkit.samples import dead_message, event_in, new_task, reported, reset_event, sync_event

SYNC = {"target": "crm", "resource": "contacts", "id": "7", "data": {"name": "Ann", "city": "Lodnon"}}
SCHEDULE = {"name": "hello", "kind": "email.requested", "cron": "0 8 * * MON", "body": EMAIL}
WHY = {"reason": "ticket 7"}
LONDON = [{"op": "replace", "path": "/data/city", "value": "London"}]
DESK = (Scope.SUBMIT, Scope.READ, Scope.OPERATE)


@pytest.fixture
async def gateway(tmp_path: Path, ledger_url: str) -> AsyncIterator[Gateway]:
    keys = Keyring.new_key()
    async with running(tmp_path, ledger_url=ledger_url, gateway_auth="keys", sealing_keys=keys) as started:
        yield started


async def posted(gateway: Gateway, key: dict[str, str], path: str, body: object) -> str:
    answer = await gateway.client.post(path, json=body, headers=key)
    assert answer.is_success, answer.text
    made: str = answer.json()["id"]
    return made


async def dead(gateway: Gateway, key: dict[str, str], body: bytes | None = None) -> tuple[str, int]:
    """A sync that has failed for good, sealed as the gateway seals it: its task, and its letter."""
    task_id = await posted(gateway, key, "/v1/syncs", SYNC)
    if body is None:
        [row] = await gateway.rows(select(TASKS.c.payload).where(TASKS.c.id == task_id))
        body = row["payload"]
    error = ErrorInfo(type="PermanentError", message="crm answered 422")
    message = dead_message(sync_event("7"), task_id, error=error, body=body)
    await gateway.resources.records.write(take_in, letter_of(message, gate=gateway.resources.gate))
    event = reported(LifecycleType.DEAD, task_id, service="sync", kind="sync.requested", attempt=4)
    await gateway.resources.records.write(_apply, event)
    [letter] = (await gateway.client.get("/v1/dead-letters", params={"task": task_id}, headers=key)).json()[
        "items"
    ]
    return task_id, letter["id"]


def _apply(connection: Any, events: Any) -> list[None]:
    apply_events(connection, list(events))
    return [None] * len(events)


async def look(gateway: Gateway, path: str, key: dict[str, str], **more: object) -> httpx.Response:
    return await gateway.client.post(f"{path}/reveal", json=WHY | more, headers=key | {"X-Actor": "ann"})


async def trail(gateway: Gateway, key: dict[str, str], **asked: Any) -> list[dict[str, Any]]:
    answer = await gateway.client.get("/v1/audit", params={"action": "reveal"} | asked, headers=key)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


@pytest.mark.parametrize("scope", [Scope.REVEAL, Scope.ADMIN])
async def test_a_task_a_letter_and_a_schedule_are_revealed_and_it_is_written_down(
    gateway: Gateway, scope: Scope
) -> None:
    desk, key = await key_in(gateway, *DESK), await key_in(gateway, scope, Scope.READ, name="support")
    task, letter = await dead(gateway, desk)
    schedule = await posted(gateway, desk, "/v1/schedules", SCHEDULE)
    masked = (await gateway.client.get(f"/v1/dead-letters/{letter}", headers=key)).json()
    assert masked["payload"]["data"] == "[redacted]"

    of_task = await look(gateway, f"/v1/tasks/{task}", key)
    assert of_task.json() == {
        "id": task,
        "kind": "sync.requested",
        "dataschema": "urn:waybill:sync.requested:v1",
        "payload": SYNC,
        "body_base64": None,
        "hidden": {},
        "edited": {},
    }
    of_letter = await look(gateway, f"/v1/dead-letters/{letter}", key)
    assert (of_letter.json()["payload"], of_letter.json()["task_id"]) == (SYNC, task)
    assert of_letter.json()["edited"] is None
    of_schedule = await look(gateway, f"/v1/schedules/{schedule}", key)
    assert of_schedule.json()["payload"] == EMAIL
    for answer in (of_task, of_letter, of_schedule):
        assert answer.headers["cache-control"] == "no-store"

    [third, second, first] = await trail(gateway, key)
    for entry in (first, second, third):
        assert (entry["actor"], entry["reason"]) == ("ann (key support)", "ticket 7")
        assert entry["details"]["key"] == id_of(key)
        assert datetime.now(UTC) - datetime.fromisoformat(entry["at"]) < timedelta(minutes=5)
    assert (first["details"]["task"], first["subject"]) == (task, task)
    assert (second["details"]["letter"], second["subject"], second["letters"]) == (letter, task, 1)
    assert (third["details"]["schedule"], third["subject"]) == (schedule, schedule)
    assert [entry["seq"] for entry in await trail(gateway, key, subject=task)] == [
        second["seq"],
        first["seq"],
    ]
    assert (await trail(gateway, key, subject=str(uuid4()))) == []
    for value in ("Lodnon", EMAIL["to"]):
        assert value not in json.dumps([first, second, third])


async def test_without_the_scope_nothing_is_shown(gateway: Gateway) -> None:
    desk = await key_in(gateway, *DESK)
    task, letter = await dead(gateway, desk)
    schedule = await posted(gateway, desk, "/v1/schedules", SCHEDULE)
    plan = await gateway.client.post("/v1/redrives", json={"ids": [letter]}, headers=desk)
    for path in (
        f"/v1/tasks/{task}",
        f"/v1/dead-letters/{letter}",
        f"/v1/schedules/{schedule}",
        f"/v1/redrives/{plan.json()['id']}/letters/{letter}",
    ):
        refused = await look(gateway, path, desk)
        problem(refused, 403, "scope_missing")
        assert "Ann" not in refused.text
    tried = await gateway.client.post(
        f"/v1/dead-letters/{letter}/preview", json={"patch": LONDON}, headers=desk
    )
    assert tried.json()["payload"]["data"] == "[redacted, changed]"
    assert await trail(gateway, desk) == []


async def test_another_tenant_sees_nothing_and_leaves_no_trace(gateway: Gateway) -> None:
    desk = await key_in(gateway, *DESK, tenant="acme")
    task, letter = await dead(gateway, desk)
    schedule = await posted(gateway, desk, "/v1/schedules", SCHEDULE)
    plan = (await gateway.client.post("/v1/redrives", json={"ids": [letter]}, headers=desk)).json()["id"]
    stranger = await key_in(gateway, Scope.REVEAL, Scope.READ, tenant="beta")
    for path, code in (
        (f"/v1/tasks/{task}", "no_such_task"),
        (f"/v1/dead-letters/{letter}", "no_such_letter"),
        (f"/v1/schedules/{schedule}", "no_such_schedule"),
        (f"/v1/redrives/{plan}/letters/{letter}", "no_such_letter"),
    ):
        problem(await look(gateway, path, stranger), 404, code)
    assert await trail(gateway, await key_in(gateway, Scope.ADMIN)) == []
    own = await key_in(gateway, Scope.REVEAL, tenant="acme")
    assert (await look(gateway, f"/v1/tasks/{task}", own)).json()["payload"] == SYNC
    assert len(await trail(gateway, desk)) == 1
    assert await trail(gateway, stranger) == []


@pytest.mark.parametrize("reason", [None, "", "  ", "x" * 501, "a\0b", 7])
async def test_a_reason_is_required(gateway: Gateway, reason: object) -> None:
    admin = await key_in(gateway, Scope.ADMIN)
    task = await posted(gateway, admin, "/v1/syncs", SYNC)
    body = {} if reason is None else {"reason": reason}
    answer = await gateway.client.post(f"/v1/tasks/{task}/reveal", json=body, headers=admin)
    [error] = problem(answer, 422, "invalid_request")["errors"]
    assert error["field"] == "reason"
    assert await gateway.count(DESK_AUDIT) == 0


async def test_a_secret_is_revealed_to_nobody(gateway: Gateway) -> None:
    admin = await key_in(gateway, Scope.ADMIN)
    asked = {"email": "ann@example.com"}
    task = await posted(gateway, admin, "/v1/password-resets", asked)
    shown = (await look(gateway, f"/v1/tasks/{task}", admin)).json()
    assert (shown["payload"]["email"], shown["payload"]["link"]) == ("ann@example.com", "[redacted]")
    assert shown["hidden"] == {"link": "secret"}
    [entry] = await trail(gateway, admin)
    assert entry["details"]["hidden"] == ["link: secret"]

    # Nor by an edit that would put it where it shows.
    [row] = await gateway.rows(select(TASKS.c.payload).where(TASKS.c.id == task))
    message = dead_message(reset_event(), task, service="email", body=row["payload"])
    await gateway.resources.records.write(take_in, letter_of(message, gate=gateway.resources.gate))
    [letter] = (await gateway.client.get("/v1/dead-letters", headers=admin)).json()["items"]
    for source in ("/link", ""):
        patch = [{"op": "copy", "from": source, "path": "/email"}]
        tried = (await look(gateway, f"/v1/dead-letters/{letter['id']}", admin, patch=patch)).json()
        assert tried["edited"]["verdict"] == "unfixable"
        assert tried["edited"]["payload"] is None
        assert "token=" not in json.dumps(tried)
    plain = (await look(gateway, f"/v1/dead-letters/{letter['id']}", admin, patch=[])).json()
    assert plain["edited"]["payload"]["link"] == "[redacted]"
    assert plain["edited"]["hidden"] == {"link": "secret"}
    # A body that is not JSON may hold it anywhere.
    broken = update(DEAD_LETTER_MESSAGES).values(body=row["payload"][:-1])
    await gateway.resources.records.write(_each, broken)
    shown = (await look(gateway, f"/v1/dead-letters/{letter['id']}", admin)).json()
    assert (shown["payload"], shown["body_base64"], shown["hidden"]) == (None, None, {"body": "secret"})


def _each(connection: Any, statements: Any) -> list[None]:
    return [None for statement in statements if connection.execute(statement)]


async def test_what_no_contract_knows_and_what_was_altered_stays_hidden(gateway: Gateway) -> None:
    admin = await key_in(gateway, Scope.ADMIN)
    keyring = gateway.resources.keyring
    task, _ = await dead(gateway, admin)
    sealed = keyring.seal_fields(SYNC | {"note": "of a newer release"}, frozenset({"data", "note"}), task)
    elsewhere = keyring.seal_fields(SYNC, frozenset({"data"}), "another task")
    for body, hidden in (
        (sealed, {"note": "unknown"}),
        (elsewhere, {"data": "altered"}),
    ):
        changed = update(DEAD_LETTER_MESSAGES).values(body=json.dumps(body).encode())
        await gateway.resources.records.write(_each, changed)
        shown = (await look(gateway, "/v1/dead-letters/1", admin)).json()
        assert shown["hidden"] == hidden
        for name in hidden:
            assert shown["payload"][name] == "[redacted]"
        assert shown["payload"]["id"] == "7"


async def test_what_was_erased_or_forgotten_says_so(gateway: Gateway) -> None:
    admin = await key_in(gateway, Scope.ADMIN)
    task, letter = await dead(gateway, admin)
    erased = await gateway.client.post("/v1/erasures", json={"tasks": [task]}, headers=admin)
    assert erased.json()["tasks"] == 1
    for path in (f"/v1/tasks/{task}", f"/v1/dead-letters/{letter}"):
        assert "was erased at 20" in problem(await look(gateway, path, admin), 410, "erased")["detail"]
    reset = await posted(gateway, admin, "/v1/password-resets", {"email": "ann@example.com"})
    event = reported(LifecycleType.COMPLETED, reset, kind="password_reset.requested")
    await gateway.resources.records.write(_apply, event)
    problem(await look(gateway, f"/v1/tasks/{reset}", admin), 410, "payload_deleted")
    assert await trail(gateway, admin) == []


async def test_a_key_that_is_missing_here_leaves_no_entry(gateway: Gateway) -> None:
    admin = await key_in(gateway, Scope.ADMIN)
    task = await posted(gateway, admin, "/v1/syncs", SYNC)
    gateway.resources.keyring = Keyring.of(Keyring.new_key())
    answer = await look(gateway, f"/v1/tasks/{task}", admin)
    problem(answer, 503, "sealing_key_missing")
    assert answer.headers["retry-after"] == "60"
    assert await trail(gateway, admin) == []


async def test_an_edit_of_a_sealed_field_is_seen_before_and_after_and_sent_sealed(gateway: Gateway) -> None:
    desk = await key_in(gateway, *DESK)
    support = await key_in(gateway, Scope.REVEAL, name="support")
    task, letter = await dead(gateway, desk)
    seen = (await look(gateway, f"/v1/dead-letters/{letter}", support, patch=LONDON)).json()
    assert seen["payload"]["data"]["city"] == "Lodnon"
    assert seen["edited"]["payload"]["data"] == {"name": "Ann", "city": "London"}
    assert (seen["edited"]["verdict"], seen["edited"]["errors"]) == ("valid", None)
    wrong = [{"op": "replace", "path": "/data", "value": 7}]
    refused = (await look(gateway, f"/v1/dead-letters/{letter}", support, patch=wrong)).json()
    assert refused["edited"]["verdict"] == "unfixable"
    assert [error["field"] for error in refused["edited"]["errors"]] == ["data"]

    planned = await gateway.client.post(
        "/v1/redrives", json={"ids": [letter], "edits": [{"patch": LONDON}]}, headers=desk
    )
    plan = planned.json()
    assert "London" not in planned.text
    [kept] = await gateway.rows(select(REDRIVE_LETTERS.c.edited))
    assert is_sealed(json.loads(kept["edited"])["data"])
    in_plan = await look(gateway, f"/v1/redrives/{plan['id']}/letters/{letter}", support)
    assert in_plan.json()["before"]["payload"]["data"]["city"] == "Lodnon"
    assert in_plan.json()["after"]["payload"]["data"]["city"] == "London"
    assert in_plan.headers["cache-control"] == "no-store"
    [entry, *_] = await trail(gateway, desk, redrive=plan["id"])
    assert (entry["details"]["letter"], entry["redrive"], entry["subject"]) == (letter, plan["id"], task)

    await gateway.client.post(f"/v1/redrives/{plan['id']}/start", json={"hash": plan["hash"]}, headers=desk)
    [message] = await sent(gateway, plan["id"])
    body = json.loads(message.body)
    assert is_sealed(body["data"])
    event = event_in(as_task(task, message.body), gateway.resources.keyring)
    assert isinstance(event, SyncRequested)
    assert event.data == {"name": "Ann", "city": "London"}
    of_task = (await look(gateway, f"/v1/tasks/{task}", support)).json()
    assert of_task["payload"]["data"]["city"] == "Lodnon"
    assert of_task["edited"]["sync"]["payload"]["data"]["city"] == "London"


async def sent(gateway: Gateway, redrive_id: int) -> list[PendingMessage]:
    """What the desk's service would send first of a redrive."""
    later = datetime.now(UTC) + timedelta(minutes=1)
    turn = Turn(redrive_id, later, gate=gateway.resources.gate)
    assert await gateway.resources.records.read(partial(may_send, turn=turn))
    return list((await gateway.resources.records.write(send, turn)).messages)


def as_task(task_id: str, payload: bytes) -> NewTask:
    """A task with this payload, as a service would read it."""
    task = new_task(sync_event("7"), id=task_id)
    return NewTask(
        routing_key="email.requested",
        services=("email",),
        id=task_id,
        kind=task.kind,
        dataschema=task.dataschema,
        payload=payload,
        created_at=task.created_at,
        correlation_id=task_id,
        about="",
    )


async def test_what_is_no_patch_is_refused_without_being_repeated(gateway: Gateway) -> None:
    admin = await key_in(gateway, Scope.ADMIN)
    _, letter = await dead(gateway, admin)
    wrong = [{"op": "bend", "path": "/data", "value": "Ann's"}]
    refused = await look(gateway, f"/v1/dead-letters/{letter}", admin, patch=wrong)
    [error] = problem(refused, 422, "invalid_request")["errors"]
    assert (error["field"], "not a JSON Patch (RFC 6902)" in error["message"]) == ("patch", True)
    assert "Ann's" not in refused.text
    assert await trail(gateway, admin) == []


async def test_a_letter_that_is_in_no_such_plan_is_not_found(gateway: Gateway) -> None:
    admin = await key_in(gateway, Scope.ADMIN)
    _, letter = await dead(gateway, admin)
    problem(await look(gateway, f"/v1/redrives/7/letters/{letter}", admin), 404, "no_such_letter")
    unedited = (await gateway.client.post("/v1/redrives", json={"ids": [letter]}, headers=admin)).json()["id"]
    shown = (await look(gateway, f"/v1/redrives/{unedited}/letters/{letter}", admin)).json()
    assert (shown["before"]["payload"], shown["after"]) == (SYNC, None)
