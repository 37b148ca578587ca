"""Tasks of registered kinds over POST /v1/tasks."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from waybill_contracts.privacy import is_sealed
from waybill_contracts.registry import HandledKind, Manifest
from waybill_contracts.wire.lifecycle import LifecycleEvent, LifecycleType
from waybill_gateway.http import ledger_unavailable
from waybill_gateway.tasks import submission_routes
from waybill_ledger import ReleaseBatch, apply_events, release_due
from waybill_ledger.registry import ApplyManifest, apply_manifests, confirm_declared
from waybill_ledger.schema.tables import OUTBOX, SUBTASKS, TASKS
from waybill_testkit.gateway.in_process import EMAIL, Gateway, fields, problem
from waybill_testkit.samples import NOON, reported

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "about": "order {order_id}",
    "properties": {
        "order_id": {"type": "string", "maxLength": 10},
        "email": {"type": "string", "sensitive": True, "person": True},
        "card": {"type": "string", "secret": True, "sensitive": True},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"count": {"type": "integer"}}}},
    },
    "required": ["order_id"],
}
TASK = {"kind": "invoice.requested", "data": {"order_id": "A-7", "email": "Ada@example.com", "card": "4711"}}


def manifest(service: str = "invoices", *, version: int = 1, reads: Sequence[int] = (1,)) -> Manifest:
    handled = HandledKind(kind="invoice.requested", version=version, reads=tuple(reads), data=SCHEMA)
    return Manifest(service=service, release=str(version), handles=(handled,))


def _without(field: str) -> dict[str, Any]:
    fields_ = {name: schema for name, schema in SCHEMA["properties"].items() if name != field}
    return SCHEMA | {"properties": fields_}


async def registered(gateway: Gateway, *manifests: Manifest) -> None:
    for stated in manifests:
        application = await gateway.resources.records.write(
            apply_manifests, ApplyManifest(stated, NOON, "ann")
        )
        assert application.refusals == ()
        await gateway.resources.records.write(confirm_declared, (application.registry, NOON))


async def test_a_task_of_a_kind_that_was_registered_a_moment_ago_is_accepted(gateway: Gateway) -> None:
    await registered(gateway, manifest())
    answer = await gateway.post("/v1/tasks", TASK)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/tasks/{answer.json()['id']}"
    task = (await gateway.client.get(answer.headers["Location"])).json()
    assert (task["kind"], task["about"]) == ("invoice.requested", "order A-7")
    assert [subtask["service"] for subtask in task["subtasks"]] == ["invoices"]
    [row] = await gateway.rows(TASKS)
    assert row["dataschema"] == "urn:waybill:invoice.requested:v1"
    assert row["secret"] is True
    assert row["person"]
    payload = json.loads(row["payload"])
    assert payload["order_id"] == "A-7"
    sealed = bool(gateway.resources.keyring.names)
    assert [is_sealed(payload[name]) for name in ("email", "card")] == [sealed, sealed]


async def test_a_task_goes_to_all_services_of_its_kind_by_a_routing_key_of_their_own(
    gateway: Gateway,
) -> None:
    await registered(gateway, manifest())
    await gateway.post("/v1/tasks", TASK)
    await registered(gateway, manifest("archive"))
    await gateway.resources.kinds.refresh()
    await gateway.post("/v1/tasks", TASK)
    keys = [row["routing_key"] for row in await gateway.rows(OUTBOX)]
    assert sorted(keys) == ["invoice.requested", "invoice.requested#2"]
    services = sorted(row["service"] for row in await gateway.rows(SUBTASKS))
    assert services == ["archive", "invoices", "invoices"]


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({}, "/data/order_id"),
        ({"order_id": "x" * 11}, "/data/order_id"),
        ({"order_id": "a", "s3cret": 1}, "/data/s3cret"),
        ({"order_id": "a", "lines": [{}, {"count": "s3cret"}]}, "/data/lines/1/count"),
        ({"order_id": "a", "a/b~c": 1}, "/data/a~1b~0c"),
    ],
)
async def test_each_fault_of_the_data_is_named_by_its_pointer_and_no_value_is_told(
    gateway: Gateway, data: dict[str, Any], pointer: str
) -> None:
    await registered(gateway, manifest())
    answer = await gateway.post("/v1/tasks", {"kind": "invoice.requested", "data": data})
    document = problem(answer, 422, "invalid_data")
    assert [error["field"] for error in document["errors"]] == [pointer]
    assert "s3cret" not in json.dumps([error["message"] for error in document["errors"]])
    assert await gateway.count(TASKS) == 0


async def test_a_kind_that_is_unknown_or_retired_is_refused(gateway: Gateway) -> None:
    problem(await gateway.post("/v1/tasks", TASK), 422, "unknown_kind")
    await registered(gateway, manifest())
    empty = Manifest(service="invoices", release="2", handles=())
    await registered(gateway, empty)
    await gateway.resources.kinds.refresh()
    problem(await gateway.post("/v1/tasks", TASK), 422, "kind_retired")


async def test_the_version_that_the_data_follows_may_be_named(gateway: Gateway) -> None:
    await registered(gateway, manifest(), manifest(version=2, reads=(1, 2)))
    for version in (1, 2):
        assert (await gateway.post("/v1/tasks", TASK | {"version": version})).status_code == 202
    assert (await gateway.post("/v1/tasks", TASK)).status_code == 202
    schemas = sorted(row["dataschema"][-2:] for row in await gateway.rows(TASKS))
    assert schemas == ["v1", "v2", "v2"]
    problem(await gateway.post("/v1/tasks", TASK | {"version": 3}), 422, "unknown_version")


async def test_built_in_kinds_are_checked_as_by_their_own_routes(gateway: Gateway) -> None:
    answer = await gateway.post("/v1/tasks", {"kind": "email.requested", "data": EMAIL})
    assert answer.status_code == 202, answer.text
    for data, pointer in (
        (EMAIL | {"to": "nobody"}, "/data/to"),
        ({"to": "ada@example.com"}, "/data"),
        (EMAIL | {"text": "nul\0"}, "/data/text"),
    ):
        refused = await gateway.post("/v1/tasks", {"kind": "email.requested", "data": data})
        [error] = problem(refused, 422, "invalid_data")["errors"]
        assert error["field"] == pointer
    bulk = {"kind": "email.requested", "data": EMAIL, "priority": "low"}
    assert problem(await gateway.post("/v1/tasks", bulk), 422, "invalid_data")
    user = {"kind": "user.created", "data": {"email": "ada@example.com", "name": "Ada"}}
    task_id = (await gateway.post("/v1/tasks", user)).json()["id"]
    [row] = [row for row in await gateway.rows(TASKS) if row["id"] == task_id]
    assert json.loads(row["payload"])["user_id"] == task_id


async def test_a_repeated_call_makes_one_task(gateway: Gateway) -> None:
    await registered(gateway, manifest())
    first, again = [await gateway.post("/v1/tasks", TASK, Idempotency_Key="k") for _ in range(2)]
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    other = TASK | {"data": {"order_id": "B-8"}}
    problem(await gateway.post("/v1/tasks", other, Idempotency_Key="k"), 422, "key_reused")
    assert await gateway.count(TASKS) == 1


async def test_a_kind_of_anybody_is_scheduled_and_its_slots_become_tasks(gateway: Gateway) -> None:
    await registered(gateway, manifest())
    body = {"order_id": "A-7", "email": "ada@example.com"}
    hourly = {"name": "invoices", "kind": "invoice.requested", "every_seconds": 3600, "body": body}
    secret = hourly | {"body": body | {"card": "4711"}}
    refused = problem(await gateway.post("/v1/schedules", secret), 422, "invalid_request")
    assert "its secrets" in refused["errors"][0]["message"]

    public = HandledKind(kind="invoice.requested", version=2, data=_without("card"), reads=(1, 2))
    await registered(gateway, Manifest(service="invoices", release="2", handles=(public,)))
    await gateway.resources.kinds.refresh()
    answer = await gateway.post("/v1/schedules", hourly)
    assert answer.status_code == 201, answer.text
    resources = gateway.resources
    registry = resources.kinds.current
    later = datetime.now(UTC) + timedelta(hours=1, minutes=1)
    batch = ReleaseBatch(later, 10, resources.keyring, registry)
    [release] = await resources.records.write(release_due, batch)
    [task] = release.tasks
    shown = (await gateway.client.get(f"/v1/tasks/{task.id}")).json()
    assert (shown["kind"], shown["about"]) == ("invoice.requested", "order A-7")
    assert [subtask["service"] for subtask in shown["subtasks"]] == ["invoices"]
    assert shown["schedule"]["id"] == answer.json()["id"]


async def test_a_person_is_found_and_erased_in_tasks_of_any_kind(gateway: Gateway) -> None:
    await registered(gateway, manifest())
    task_id = (await gateway.post("/v1/tasks", TASK)).json()["id"]
    person = {"address": "ADA@example.com"}
    held = (await gateway.post("/v1/persons/lookups", person)).json()
    assert (held["open"], held["tasks"]["pending"]) == (1, 1)
    [found] = (await gateway.client.get("/v1/tasks", params={"person": "ada@example.com"})).json()["items"]
    assert found["id"] == task_id

    ended = reported(LifecycleType.COMPLETED, task_id, service="invoices", kind="invoice.requested")
    await gateway.resources.records.write(applied, ended)
    assert (await gateway.post("/v1/persons/erasures", person)).json()["tasks"] == 1
    [row] = await gateway.rows(TASKS)
    assert row["payload"] is None or "order_id" not in row["payload"]
    assert (await gateway.post("/v1/persons/lookups", person)).json()["tasks"]["completed"] == 0


def applied(connection: Connection, events: Sequence[LifecycleEvent]) -> list[None]:
    apply_events(connection, events)
    return [None] * len(events)


@pytest.mark.parametrize("data", [None, [], "text", 7])
async def test_data_is_an_object(gateway: Gateway, data: object) -> None:
    answer = await gateway.post("/v1/tasks", {"kind": "email.requested", "data": data})
    assert problem(answer, 422, "invalid_request")["errors"][0]["field"] == "data"


async def test_many_tasks_are_accepted_together(gateway: Gateway) -> None:
    await registered(gateway, manifest())
    tasks = [TASK | {"data": {"order_id": f"A-{number}"}} for number in range(1000)]
    answer = await gateway.post("/v1/tasks/bulk", {"tasks": tasks})
    assert answer.status_code == 202, answer.text
    ids = [task["id"] for task in answer.json()["tasks"]]
    rows = {row["id"]: row for row in await gateway.rows(TASKS)}
    assert [json.loads(rows[id_]["payload"])["order_id"] for id_ in ids] == [f"A-{n}" for n in range(1000)]
    too_many = await gateway.post("/v1/tasks/bulk", {"tasks": [*tasks, TASK]})
    assert problem(too_many, 422, "invalid_request")["errors"][0]["field"] == "tasks"
    assert fields(await gateway.post("/v1/tasks/bulk", {"tasks": []})) == {"tasks"}


async def test_of_many_tasks_none_is_accepted_if_one_is_wrong(gateway: Gateway) -> None:
    await registered(gateway, manifest())
    wrong = [
        TASK,
        TASK | {"data": {"order_id": 7}},
        {"kind": "coffee.requested", "data": {}},
        TASK | {"send_at": "2001-01-01T00:00:00Z"},
    ]
    answer = await gateway.post("/v1/tasks/bulk", {"tasks": wrong}, Idempotency_Key="k")
    errors = [error["field"] for error in problem(answer, 422, "tasks_refused")["errors"]]
    assert errors == ["/tasks/1/data/order_id", "/tasks/2/kind", "/tasks/3/send_at"]
    assert await gateway.count(TASKS) == 0
    assert (await gateway.post("/v1/tasks/bulk", {"tasks": [TASK]}, Idempotency_Key="k")).status_code == 202


async def test_a_fault_of_one_of_many_that_names_no_place_refuses_them_all(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registered(gateway, manifest())

    async def unavailable(*_: object) -> bool:
        raise ledger_unavailable()

    monkeypatch.setattr(submission_routes, "is_repeated", unavailable)
    late = TASK | {"send_at": "2001-01-01T00:00:00Z"}
    answer = await gateway.post("/v1/tasks/bulk", {"tasks": [TASK, late]}, Idempotency_Key="k")
    assert problem(answer, 503, "ledger_unavailable")
    assert await gateway.count(TASKS) == 0


async def test_each_of_many_tasks_is_accepted_once_by_its_key(gateway: Gateway) -> None:
    await registered(gateway, manifest())
    first, second = (TASK | {"idempotency_key": key} for key in "ab")
    one = (await gateway.post("/v1/tasks", TASK, Idempotency_Key="a")).json()["id"]
    answers = [(await gateway.post("/v1/tasks/bulk", {"tasks": [first, second]})).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["tasks"][0]["id"] == one
    assert await gateway.count(TASKS) == 2
    other = second | {"data": {"order_id": "other"}}
    third = TASK | {"idempotency_key": "c"}
    refused = await gateway.post("/v1/tasks/bulk", {"tasks": [third, other]})
    [error] = problem(refused, 422, "tasks_refused")["errors"]
    assert error["field"] == "/tasks/1/idempotency_key"
    assert await gateway.count(TASKS) == 2
    assert (await gateway.post("/v1/tasks", TASK, Idempotency_Key="c")).status_code == 202


async def test_each_of_many_tasks_may_have_a_name_and_a_trace_of_its_own(gateway: Gateway) -> None:
    await registered(gateway, manifest())
    trace, call = f"00-{'a' * 32}-{'b' * 16}-01", f"00-{'c' * 32}-{'d' * 16}-01"
    own = TASK | {"idempotency_key": "a", "request_id": "order-1", "traceparent": trace}
    named = {"X_Request_Id": "the-call", "traceparent": call}
    answer = await gateway.post("/v1/tasks/bulk", {"tasks": [own, TASK]}, **named)
    first, second = [task["id"] for task in answer.json()["tasks"]]
    rows = {row["id"]: (row["correlation_id"], row["traceparent"]) for row in await gateway.rows(TASKS)}
    assert rows == {first: ("order-1", trace), second: ("the-call", call)}
    # They are no part of the content: a repeat may be made within another trace.
    repeat = own | {"traceparent": call, "request_id": "order-1-again"}
    assert (await gateway.post("/v1/tasks/bulk", {"tasks": [repeat]})).json()["tasks"][0]["id"] == first
    for wrong in ({"request_id": "with space"}, {"request_id": "line\n"}, {"traceparent": "0" * 513}):
        refused = await gateway.post("/v1/tasks/bulk", {"tasks": [TASK | wrong]})
        assert fields(refused) == {f"tasks.0.{name}" for name in wrong}


async def test_a_repeated_call_of_many_tasks_makes_them_once(gateway: Gateway) -> None:
    await registered(gateway, manifest())
    body = {"tasks": [TASK, TASK]}
    first, again = [await gateway.post("/v1/tasks/bulk", body, Idempotency_Key="k") for _ in range(2)]
    assert (again.status_code, again.json()) == (202, first.json())
    assert len({task["id"] for task in first.json()["tasks"]}) == await gateway.count(TASKS) == 2
