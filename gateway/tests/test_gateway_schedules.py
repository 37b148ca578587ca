import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import Connection, select, update

from waybill_contracts.kinds.catalog import CATALOG
from waybill_contracts.privacy.seal import KEY_BYTES, Keyring
from waybill_ledger import ReleaseBatch, release_due
from waybill_ledger.schema.tables import SCHEDULES
from waybill_testkit.gateway.in_process import EMAIL, Gateway, fields, problem, running

NIGHTLY: dict[str, Any] = {
    "name": "nightly",
    "kind": "email.requested",
    "body": EMAIL,
    "cron": "30 2 * * *",
    "timezone": "Europe/Berlin",
}
HEARTBEAT: dict[str, Any] = {
    "name": "heartbeat",
    "kind": "sync.requested",
    "body": {"target": "crm", "resource": "beats", "id": "waybill", "data": {"alive": True}},
    "every_seconds": 3600,
}
USER: dict[str, Any] = {
    "name": "demo-user",
    "kind": "user.created",
    "body": {"email": "bob@example.com", "name": "Bob"},
    "cron": "@daily",
}


async def made(gateway: Gateway, schedule: dict[str, Any]) -> dict[str, Any]:
    answer = await gateway.post("/v1/schedules", schedule)
    assert answer.status_code == 201, answer.text
    view: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == view["links"]["self"] == f"/v1/schedules/{view['id']}"
    return view


async def patch(gateway: Gateway, schedule: dict[str, Any], change: object) -> httpx.Response:
    return await gateway.client.patch(schedule["links"]["self"], json=change)


def released(gateway: Gateway, now: datetime) -> None:
    """What the status service does when slots are due."""
    with gateway.resources.records.engine.begin() as connection:
        registry = gateway.resources.kinds.current
        release_due(connection, [ReleaseBatch(now, 100, gateway.resources.keyring, registry)])


@pytest.mark.parametrize("schedule", [NIGHTLY, HEARTBEAT, USER])
async def test_what_is_posted_is_what_is_shown(gateway: Gateway, schedule: dict[str, Any]) -> None:
    view = await made(gateway, schedule)
    sensitive = CATALOG[schedule["kind"]].event.sensitive_fields()
    body = {name: "[redacted]" if name in sensitive else each for name, each in schedule["body"].items()}
    assert view == view | schedule | {"body": body}
    shown = (await gateway.client.get(view["links"]["self"])).json()
    assert shown == view | {"last_tasks": []}
    assert (view["missed"], view["missed_limit"], view["priority"]) == ("run_once", 10, "normal")
    assert (view["paused"], view["last_slot_at"], view["error"]) == (False, None, None)
    slots = [datetime.fromisoformat(slot) for slot in view["next"]]
    assert len(slots) == 5
    assert slots == sorted(slots)
    assert slots[0] > datetime.now(UTC)


async def test_the_next_slots_are_told_in_the_schedules_own_zone(gateway: Gateway) -> None:
    starts_at = "2036-03-29T00:00:00Z"  # the night after it clocks are changed in Berlin
    view = await made(gateway, NIGHTLY | {"starts_at": starts_at})
    assert view["next"][:3] == [
        "2036-03-29T02:30:00+01:00",
        "2036-03-30T03:00:00+02:00",
        "2036-03-31T02:30:00+02:00",
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "two words"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"kind": {}}, "kind"),
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "* * * * * *"}, "cron"),
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"cron": None}, "body"),
        ({"every_seconds": 60}, "body"),
        ({"every_seconds": 59}, "every_seconds"),
        ({"timezone": "Berlin"}, "timezone"),
        ({"starts_at": "2036-01-01T00:00:00"}, "starts_at"),
        # Its slots would end in the middle of being counted, with it in every list.
        ({"starts_at": "9999-12-30T00:00:00Z", "cron": None, "every_seconds": 31_622_400}, "starts_at"),
        ({"ends_at": "2200-01-01T00:00:00Z"}, "ends_at"),
        ({"starts_at": "2036-01-02T00:00:00Z", "ends_at": "2036-01-01T00:00:00Z"}, "body"),
        ({"missed": "never"}, "missed"),
        ({"missed_limit": 0}, "missed_limit"),
        ({"missed_limit": 101}, "missed_limit"),
        ({"priority": "urgent"}, "priority"),
        ({"paused": "perhaps"}, "paused"),
        ({"weekly": True}, "weekly"),
        ({"body": EMAIL | {"to": "nobody"}}, "body.to"),
        ({"body": {"to": "ada@example.com"}}, "body"),
        ({"body": EMAIL | {"subjekt": "s3cret"}}, "body.subjekt"),
        ({"body": EMAIL | {"delay_seconds": 5}}, "body.delay_seconds"),
        ({"body": EMAIL | {"priority": "low"}}, "body.priority"),
        ({"body": EMAIL | {"text": "nul\0"}}, "body.text"),
        ({"kind": "email.requested", "body": EMAIL, "priority": "low"}, "body.list_unsubscribe"),
        ({"body": {"to": "ada@example.com", "template": "welcome", "params": {}}}, "body.params.name"),
        ({"body": EMAIL | {"text": "x" * 66_000}}, "body"),
        ({"body": []}, "body"),
    ],
)
async def test_what_is_wrong_is_refused_by_the_name_of_its_field(
    gateway: Gateway, change: dict[str, Any], field: str
) -> None:
    answer = await gateway.post("/v1/schedules", NIGHTLY | change)
    assert field in fields(answer)
    assert "s3cret" not in answer.text
    assert await gateway.count(SCHEDULES) == 0


@pytest.mark.parametrize(
    ("kind", "reason"), [("image.uploaded", "its files"), ("password_reset.requested", "its secrets")]
)
async def test_a_kind_that_needs_a_file_or_a_secret_cannot_be_scheduled(
    gateway: Gateway, kind: str, reason: str
) -> None:
    document = problem(await gateway.post("/v1/schedules", NIGHTLY | {"kind": kind}), 422, "invalid_request")
    [error] = [error for error in document["errors"] if error["field"] == "kind"]
    assert reason in error["message"]


async def test_a_kind_that_nobody_registered_cannot_be_scheduled(gateway: Gateway) -> None:
    answer = await gateway.post("/v1/schedules", NIGHTLY | {"kind": "invoice.requested"})
    assert problem(answer, 422, "unknown_kind")["errors"][0]["field"] == "kind"


async def test_a_target_that_is_not_configured_is_refused(gateway: Gateway) -> None:
    body = HEARTBEAT["body"] | {"target": "erp"}
    answer = await gateway.post("/v1/schedules", HEARTBEAT | {"body": body})
    assert problem(answer, 422, "unknown_target")["errors"][0]["field"] == "body.target"


async def test_a_schedule_that_would_never_be_due_is_refused(gateway: Gateway) -> None:
    answer = await gateway.post("/v1/schedules", NIGHTLY | {"ends_at": "2001-01-01T00:00:00Z"})
    problem(answer, 422, "never_due")
    assert await gateway.count(SCHEDULES) == 0


async def test_a_repeated_call_makes_one_schedule(gateway: Gateway) -> None:
    first, again = [await gateway.post("/v1/schedules", NIGHTLY, Idempotency_Key="k") for _ in range(2)]
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await gateway.post("/v1/schedules", NIGHTLY | {"name": "other"}, Idempotency_Key="k")
    problem(other, 422, "key_reused")
    await gateway.client.delete(first.headers["Location"])
    problem(await gateway.post("/v1/schedules", NIGHTLY, Idempotency_Key="k"), 410, "schedule_deleted")


async def test_a_name_is_taken_once_and_the_limit_holds(tmp_path: Path, ledger_url: str) -> None:
    async with running(tmp_path, ledger_url=ledger_url, max_schedules=2) as gateway:
        await made(gateway, NIGHTLY)
        problem(await gateway.post("/v1/schedules", NIGHTLY), 409, "name_taken")
        await made(gateway, HEARTBEAT)
        problem(await gateway.post("/v1/schedules", USER), 409, "too_many_schedules")


async def test_they_are_listed_newest_first_in_pages_and_found_by_name(gateway: Gateway) -> None:
    schedules = [await made(gateway, HEARTBEAT | {"name": f"s{n}"}) for n in range(3)]
    first = (await gateway.client.get("/v1/schedules?limit=2")).json()
    rest = (await gateway.client.get(f"/v1/schedules?limit=2&cursor={first['next_cursor']}")).json()
    assert first["items"] + rest["items"] == schedules[::-1]
    assert rest["next_cursor"] is None
    named = (await gateway.client.get("/v1/schedules?name=s1")).json()
    assert named["items"] == [schedules[1]]
    problem(await gateway.client.get("/v1/schedules?cursor=x"), 422, "bad_cursor")
    assert fields(await gateway.client.get("/v1/schedules?page=2")) == {"page"}


async def test_it_is_paused_and_resumed(gateway: Gateway) -> None:
    schedule = await made(gateway, NIGHTLY)
    paused = (await patch(gateway, schedule, {"paused": True})).json()
    assert (paused["paused"], paused["next"]) == (True, [])
    resumed = (await patch(gateway, paused, {"paused": False})).json()
    assert resumed["next"] == schedule["next"]


async def test_a_change_is_checked_like_a_new_schedule(gateway: Gateway) -> None:
    body = NIGHTLY["body"] | {"list_unsubscribe": []}
    schedule = await made(gateway, NIGHTLY | {"priority": "low", "missed": "skip", "body": body})
    changed = (await patch(gateway, schedule, {"every_seconds": 90, "priority": None})).json()
    assert (changed["cron"], changed["every_seconds"], changed["priority"]) == (None, 90, "normal")
    assert (changed["missed"], changed["timezone"]) == ("skip", "Europe/Berlin")
    assert (await patch(gateway, schedule, {"cron": "@weekly"})).json()["every_seconds"] is None

    for change, field in (
        ({"cron": "x"}, "cron"),
        ({"cron": None}, "body"),
        ({"cron": "@daily", "every_seconds": 60}, "body"),
        ({"body": EMAIL | {"to": "nobody"}}, "body.to"),
        ({"body": None}, "body"),
        ({"name": "other"}, "name"),
        ({"kind": "sync.requested"}, "kind"),
    ):
        assert fields(await patch(gateway, schedule, change)) == {field}
    problem(await patch(gateway, schedule, {"ends_at": "2001-01-01T00:00:00Z"}), 422, "never_due")
    assert (await gateway.client.get(schedule["links"]["self"])).json()["cron"] == "@weekly"


async def test_bulk_mail_of_a_schedule_says_how_to_unsubscribe(gateway: Gateway) -> None:
    schedule = await made(gateway, NIGHTLY)
    assert fields(await patch(gateway, schedule, {"priority": "low"})) == {"body.list_unsubscribe"}
    links = ["https://a.test/u", "mailto:u@a.test"]
    change = {"priority": "low", "body": NIGHTLY["body"] | {"list_unsubscribe": links}}
    assert (await patch(gateway, schedule, change)).status_code == 200
    without = await patch(gateway, schedule, {"body": NIGHTLY["body"]})
    assert fields(without) == {"body.list_unsubscribe"}
    wrong = NIGHTLY | {"priority": "low", "body": NIGHTLY["body"] | {"to": "nobody"}}
    assert fields(await gateway.post("/v1/schedules", wrong)) == {"body.to", "body.list_unsubscribe"}


async def test_a_schedule_from_before_that_rule_can_be_paused(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("waybill_gateway.emails.templates.unsubscribe_faults", lambda *_: [])
        schedule = await made(gateway, NIGHTLY | {"priority": "low"})
    assert (await patch(gateway, schedule, {"paused": True})).status_code == 200


async def test_a_schedule_whose_key_is_missing_is_paused_and_mended(gateway: Gateway) -> None:
    schedule = await made(gateway, NIGHTLY)
    having, other = gateway.resources.keyring, Keyring([bytes(KEY_BYTES)])
    gateway.resources.keyring = other
    paused = await patch(gateway, schedule, {"paused": True, "cron": "@weekly", "priority": "high"})
    assert paused.status_code == 200, paused.text
    assert (paused.json()["paused"], paused.json()["cron"]) == (True, "@weekly")
    assert fields(await patch(gateway, schedule, {"cron": "x"})) == {"cron"}
    refused = await patch(gateway, schedule, {"paused": False})
    problem(refused, 503, "sealing_key_missing")
    assert int(refused.headers["retry-after"]) > 0

    gateway.resources.keyring = having
    assert (await patch(gateway, schedule, {"priority": None})).status_code == 200
    gateway.resources.keyring = other
    mended = await patch(gateway, schedule, {"paused": False, "body": EMAIL})
    assert (mended.status_code, mended.json()["paused"]) == (200, False)
    [kept] = await gateway.rows(SCHEDULES)
    opened = other.open_fields(json.loads(kept["body"]), kept["id"])
    assert {name: opened[name] for name in EMAIL} == EMAIL


async def test_a_schedule_whose_body_was_altered_is_paused_and_only_resumed_with_another(
    gateway: Gateway,
) -> None:
    schedule, foreign = [await made(gateway, NIGHTLY | {"name": name}) for name in ("a", "b")]

    def swap(connection: Connection, ids: Sequence[tuple[str, str]]) -> list[None]:
        [(own, other)] = ids
        body = connection.scalar(select(SCHEDULES.c.body).where(SCHEDULES.c.id == other))
        connection.execute(update(SCHEDULES).where(SCHEDULES.c.id == own).values(body=body))
        return [None]

    await gateway.resources.records.write(swap, (schedule["id"], foreign["id"]))
    assert (await patch(gateway, schedule, {"paused": True})).json()["paused"] is True
    document = problem(await patch(gateway, schedule, {"paused": False}), 409, "body_broken")
    assert [error["field"] for error in document["errors"]] == ["body"]
    assert (await patch(gateway, schedule, {"paused": False, "body": EMAIL})).json()["paused"] is False


async def test_a_change_that_is_not_json_is_refused(gateway: Gateway) -> None:
    schedule = await made(gateway, NIGHTLY)
    answer = await gateway.client.patch(
        schedule["links"]["self"], content=b"paused=1", headers={"Content-Type": "text/plain"}
    )
    problem(answer, 415, "not_json")


async def test_its_tasks_tell_where_they_come_from_and_outlive_it(gateway: Gateway) -> None:
    schedule = await made(gateway, NIGHTLY)
    other = await made(gateway, HEARTBEAT | {"priority": "low"})
    slot = max(datetime.fromisoformat(each["next"][0]) for each in (schedule, other))
    released(gateway, slot)

    details = (await gateway.client.get(schedule["links"]["self"])).json()
    [made_last] = details["last_tasks"]
    assert datetime.fromisoformat(details["last_slot_at"]) == datetime.fromisoformat(schedule["next"][0])
    listed = (await gateway.client.get(schedule["links"]["tasks"])).json()["items"]
    task = (await gateway.client.get(made_last["links"]["self"])).json()
    # A list has no links for browsers.
    listed_task = task | {"links": task["links"] | {"watch": None}}
    assert listed == [listed_task]
    assert task["schedule"]["id"] == schedule["id"]
    assert task["schedule"]["slot"] == details["last_slot_at"]
    assert (task["correlation_id"], task["priority"]) == ("nightly", "normal")
    held = (await gateway.client.get(other["links"]["tasks"])).json()["items"][0]
    assert (held["priority"], held["about"]) == ("low", "crm/beats/waybill")
    cancelled = await gateway.client.post(f"{held['links']['self']}/cancel")
    assert cancelled.json()["outcome"] == "prevented"

    assert (await gateway.client.delete(schedule["links"]["self"])).status_code == 204
    assert (await gateway.client.get(schedule["links"]["tasks"])).json()["items"] == [listed_task]


async def test_a_task_that_was_posted_comes_from_no_schedule(gateway: Gateway) -> None:
    answer = await gateway.post("/v1/emails", EMAIL)
    assert (await gateway.client.get(answer.headers["Location"])).json()["schedule"] is None
    assert fields(await gateway.client.get("/v1/tasks?schedule=nightly")) == {"schedule"}


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_no_such_schedule(gateway: Gateway, method: str) -> None:
    body: dict[str, Any] | None = {} if method == "PATCH" else None
    answer = await gateway.client.request(method, f"/v1/schedules/{uuid4()}", json=body)
    problem(answer, 404, "no_such_schedule")
    assert fields(await gateway.client.request(method, "/v1/schedules/seven", json=body)) == {"schedule_id"}


async def test_two_changes_at_once_are_one_and_a_refusal(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = await made(gateway, NIGHTLY)
    write = gateway.resources.records.write

    async def changed_first(*arguments: Any) -> Any:
        monkeypatch.setattr(gateway.resources.records, "write", write)
        assert (await patch(gateway, schedule, {"paused": True})).status_code == 200
        return await write(*arguments)

    monkeypatch.setattr(gateway.resources.records, "write", changed_first)
    problem(await patch(gateway, schedule, {"cron": "@daily"}), 409, "changed_meanwhile")
    assert (await gateway.client.get(schedule["links"]["self"])).json()["paused"]
