import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection

from waybill_contracts.registry import built_in_registry
from waybill_contracts.wire import SpawnedTask, spawned_task_id
from waybill_contracts.wire.lifecycle import (
    DeadReason,
    ErrorInfo,
    LifecycleData,
    LifecycleEvent,
    LifecycleType,
    lifecycle_event,
)
from waybill_gateway.app import create_app
from waybill_ledger import SpawnTerms, accept_spawned, apply_events
from waybill_testkit.gateway.in_process import EMAIL, Gateway, fields, problem, running, settings_in
from waybill_testkit.samples import email_event
from waybill_worker.runtime.process import MisconfiguredError

USER = {"email": "bob@example.com", "name": "Bob"}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def accepted(gateway: Gateway, path: str, body: dict[str, Any], **headers: str) -> str:
    task_id: str = (await gateway.post(path, body, **headers)).json()["id"]
    return task_id


async def listed(gateway: Gateway, **query: object) -> list[str]:
    answer = await gateway.client.get("/v1/tasks", params={k: str(v) for k, v in query.items()})
    assert answer.status_code == 200, answer.text
    return [task["id"] for task in answer.json()["items"]]


async def happened(gateway: Gateway, *events: LifecycleEvent) -> None:
    def apply(connection: Connection, batches: Sequence[tuple[LifecycleEvent, ...]]) -> list[None]:
        apply_events(connection, [event for batch in batches for event in batch])
        return [None] * len(batches)

    await gateway.resources.records.write(apply, events)


def report(
    task_id: str, type_: LifecycleType, seconds: int, service: str = "email", **data: Any
) -> LifecycleEvent:
    facts = {"attempt": 1, "max_attempts": 6, "redrive_no": 0} | data
    about = LifecycleData(task_id=task_id, service=service, kind="user.created", **facts)
    return lifecycle_event(type_, NOON + timedelta(seconds=seconds), about)


async def test_children_are_listed_by_their_parent_and_name_it(gateway: Gateway) -> None:
    parent = await accepted(gateway, "/v1/users", USER)
    keyring, persons = gateway.resources.keyring, gateway.resources.persons
    id_ = spawned_task_id(parent, f"{parent}.email", 0)
    event = email_event("cid@example.com")
    task = SpawnedTask(
        id=id_,
        kind=event.KIND,
        dataschema=event.dataschema(),
        payload=keyring.sealed_payload(event, id_).decode(),
    )

    def spawn(connection: Connection, batches: Sequence[LifecycleEvent]) -> list[None]:
        merged = apply_events(connection, batches)
        accept_spawned(connection, merged.spawned, SpawnTerms(NOON, built_in_registry(), keyring, persons))
        return [None] * len(batches)

    done = report(parent, LifecycleType.COMPLETED, 1, result={}, spawned=(task,))
    await gateway.resources.records.write(spawn, done)
    shown = (await gateway.client.get(f"/v1/tasks/{parent}")).json()
    child = (await gateway.client.get(f"/v1/tasks/{id_}")).json()

    assert (shown["parent"], shown["children"]) == (None, 1)
    assert (child["parent"], child["children"]) == ({"id": parent, "service": "email"}, 0)
    assert await listed(gateway, parent=parent) == [id_]
    assert await listed(gateway, parent=id_) == []
    # Erasure of a person finds them.
    assert await listed(gateway, person="cid@example.com") == [id_]
    assert (await gateway.client.get("/v1/tasks", params={"parent": "no id"})).status_code == 422


async def test_newest_first_and_by_each_filter(gateway: Gateway) -> None:
    mail = await accepted(gateway, "/v1/emails", EMAIL, X_Request_ID="order-17")
    user = await accepted(gateway, "/v1/users", USER)
    later = await accepted(gateway, "/v1/emails", EMAIL | {"delay_seconds": 60}, X_Request_ID="50%-off")
    assert await listed(gateway) == [later, user, mail]
    assert await listed(gateway, state="scheduled") == [later]
    assert await listed(gateway, kind="user.created") == [user]
    assert await listed(gateway, service="sync") == [user]
    assert await listed(gateway, service="email", state="pending") == [user, mail]
    assert (
        await listed(gateway, q=USER["email"])
        == await listed(gateway, person=USER["email"].upper())
        == [user]
    )
    assert await listed(gateway, q="order-") == [mail]
    assert await listed(gateway, q=user) == [user]
    assert await listed(gateway, q="50%") == [later]
    assert await listed(gateway, q="%") == []
    assert await listed(gateway, q="rder-17") == []
    created = (await gateway.client.get(f"/v1/tasks/{user}")).json()["created_at"]
    assert await listed(gateway, since=created) == [later, user]
    assert await listed(gateway, until=created) == [mail]


async def test_pages_follow_each_other_without_gap_or_repeat(gateway: Gateway) -> None:
    made = [await accepted(gateway, "/v1/emails", EMAIL) for _ in range(5)]
    seen: list[str] = []
    sizes = []
    query: dict[str, str] = {"limit": "2"}
    while True:
        page = (await gateway.client.get("/v1/tasks", params=query)).json()
        seen += [task["id"] for task in page["items"]]
        sizes.append(len(page["items"]))
        if len(seen) == 2:  # what is accepted meanwhile does not shift the pages
            await accepted(gateway, "/v1/emails", EMAIL)
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == made[::-1]
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize("cursor", ["!", "A", "AAAA", "é", "AA==", "%00", "bm8gaWQ"])
async def test_a_cursor_that_was_never_given_out_is_refused(gateway: Gateway, cursor: str) -> None:
    document = problem(await gateway.client.get("/v1/tasks", params={"cursor": cursor}), 422, "bad_cursor")
    assert [error["field"] for error in document["errors"]] == ["cursor"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=two", "limit"),
        ("state=done", "state"),
        ("since=yesterday", "since"),
        ("since=0.5", "since"),
        ("until=2026-01-01T00:00:00", "until"),
        ("q=", "q"),
        ("q=%00", "q"),
        (f"q={'x' * 201}", "q"),
        ("page=2", "page"),
    ],
)
async def test_a_wrong_filter_is_refused(gateway: Gateway, query: str, field: str) -> None:
    assert fields(await gateway.client.get(f"/v1/tasks?{query}")) == {field}


@pytest.mark.parametrize("name", ["kind", "service"])
async def test_an_unknown_kind_or_service_names_the_known(gateway: Gateway, name: str) -> None:
    document = problem(await gateway.client.get(f"/v1/tasks?{name}=x"), 422, f"unknown_{name}")
    assert "email" in document["errors"][0]["message"]


@pytest.mark.parametrize("path", ["", "/timeline"])
async def test_an_unknown_task_is_not_found(gateway: Gateway, path: str) -> None:
    """Pain: PENDING means "waiting or unknown" (celery 4450, arq 342)."""
    problem(await gateway.client.get(f"/v1/tasks/{uuid4()}{path}"), 404, "no_such_task")
    assert fields(await gateway.client.get(f"/v1/tasks/seven{path}")) == {"task_id"}


async def test_a_tasks_subtasks_and_timeline_tell_what_happened(gateway: Gateway) -> None:
    task_id = await accepted(gateway, "/v1/users", USER)
    error = ErrorInfo(type="SMTPError", message="550 no such mailbox")
    await happened(
        gateway,
        report(task_id, LifecycleType.STARTED, 1),
        report(task_id, LifecycleType.STARTED, 2, service="sync"),
        report(task_id, LifecycleType.COMPLETED, 3, service="sync", result={"status": 201}),
        report(task_id, LifecycleType.DEAD, 4, error=error, reason=DeadReason.PERMANENT),
    )
    task = (await gateway.client.get(f"/v1/tasks/{task_id}")).json()
    assert task["state"] == "failed"
    assert datetime.fromisoformat(task["completed_at"]) == NOON + timedelta(seconds=4)
    mail, record = task["subtasks"]
    assert (mail["state"], mail["attempt"], mail["max_attempts"]) == ("failed", 1, 6)
    assert mail["error"] == {"type": "SMTPError", "message": "550 no such mailbox"}
    assert (record["state"], record["result"], record["error"]) == ("completed", {"status": 201}, None)
    timeline = (await gateway.client.get(task["links"]["timeline"])).json()
    assert timeline["task_id"] == task_id
    assert [(entry["type"], entry["service"]) for entry in timeline["events"]] == [
        ("task.accepted", None),
        ("task.started", "email"),
        ("task.started", "sync"),
        ("task.completed", "sync"),
        ("task.dead", "email"),
    ]
    assert timeline["events"][-1]["details"]["reason"] == "permanent"


async def test_alive_and_ready_without_a_broker(gateway: Gateway) -> None:
    assert (await gateway.client.get("/healthz")).json() == {"status": "alive", "pid": os.getpid()}
    ready = await gateway.client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"status": "ready", "ledger": True, "broker": False, "pid": os.getpid()}


async def test_not_ready_without_the_ledger(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        gateway.resources.records.engine.dispose()
        (tmp_path / "ledger.db").unlink()
        (tmp_path / "ledger.db").mkdir()
        ready = await gateway.client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json() == {"status": "not ready", "ledger": False, "broker": False, "pid": os.getpid()}
        assert (await gateway.client.get("/healthz")).status_code == 200


async def test_a_ledger_without_its_schema_stops_the_start(tmp_path: Path) -> None:
    app = create_app(settings_in(tmp_path))
    with pytest.raises(MisconfiguredError, match="ledger upgrade"):
        async with app.router.lifespan_context(app):
            pass
