"""Services are registered and retired, kinds and services are looked at."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from registry_under_test import INVOICES, KIND, declare, handled, made_of, manifest, schema
from sqlalchemy import Engine, event

from waybill_contracts.registry import Application, built_in_manifests
from waybill_contracts.wire import LifecycleType
from waybill_gateway.registry import service_routes
from waybill_gateway.registry.fresh import fresh_registry
from waybill_ledger import Submission, accept, apply_events
from waybill_ledger.registry import ApplyManifest, apply_manifests
from waybill_testkit.gateway.in_process import EMAIL, JSON, Gateway, problem, running
from waybill_testkit.samples import new_task, reported


@pytest.fixture(autouse=True)
def _nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other gateway has a copy that could be old."""
    monkeypatch.setattr(service_routes, "SETTLE_SECONDS", 0)


async def put(gateway: Gateway, body: dict[str, Any], **params: Any) -> httpx.Response:
    return await gateway.client.put(f"/v1/services/{body['service']}", json=body, params=params)


def email(release: str, **changes: Any) -> dict[str, Any]:
    """A new release of a built-in service, whose mails have another contract."""
    (known,) = (each for each in built_in_manifests() if each.service == "email")
    stated = known.model_dump(mode="json", exclude_defaults=True) | {"release": release, "manifest": 1}
    stated["handles"] = [
        each | (changes if each["kind"] == "email.requested" else {}) for each in stated["handles"]
    ]
    return stated


async def complete(gateway: Gateway, task: str) -> None:
    """What the status service does with the report of a service."""

    def work(engine: Engine) -> None:
        with engine.begin() as connection:
            apply_events(connection, [reported(LifecycleType.COMPLETED, task)])

    await gateway.resources.records.prepare(work)


async def told(answer: httpx.Response) -> list[dict[str, str]]:
    """The differences for which a registration was refused."""
    errors: list[dict[str, str]] = problem(answer, 409, "registration_refused")["errors"]
    return errors


async def test_a_service_is_registered_and_a_repeated_call_changes_nothing(gateway: Gateway) -> None:
    made = await put(gateway, manifest())
    assert (made.status_code, made.headers["location"]) == (201, INVOICES)
    assert made.json() == {
        "service": "invoices",
        "release": "1",
        "changes": [
            "invoices 1 is new",
            "invoice.requested: version 1 is new",
            "invoice.requested: tasks go to invoices",
        ],
        "notes": [],
        "declared": False,
        "dry_run": False,
    }
    again = await put(gateway, manifest())
    assert (again.status_code, again.json()["changes"]) == (200, [])
    await declare(gateway)
    assert (await put(gateway, manifest())).json()["declared"] is True
    (entry,) = (await gateway.client.get("/v1/audit", params={"action": "apply_service"})).json()["items"]
    assert (entry["actor"], entry["details"]["service"]) == ("anonymous", "invoices")


async def test_a_dry_run_says_what_would_change_and_changes_nothing(gateway: Gateway) -> None:
    answer = await put(gateway, manifest(), dry_run=True)
    assert (answer.status_code, answer.json()["dry_run"]) == (200, True)
    assert len(answer.json()["changes"]) == 3
    problem(await gateway.client.get(INVOICES), 404, "no_such_service")
    assert (await gateway.client.get("/v1/audit")).json()["items"] == []
    await put(gateway, manifest())
    narrower = handled(data=schema() | {"required": ["order_id", "note"]})
    assert await told(await put(gateway, manifest("invoices", "2", narrower), dry_run=True))


async def test_what_is_registered_is_shown_with_its_schemas_and_marks(gateway: Gateway) -> None:
    address = {"type": "string", "format": "email", "sensitive": True, "person": True}
    stated = handled(data=schema(email=address), policy={"attempts": 5})
    await put(gateway, manifest("invoices", "1", stated) | {"emits": ["email.requested"]})
    await put(gateway, manifest("archive", "7", handled(data=schema(email=address))))
    await declare(gateway)

    kind = (await gateway.client.get(f"/v1/kinds/{KIND}")).json()
    assert (kind["owner"], kind["services"], kind["version"]) == ("invoices", ["archive", "invoices"], 1)
    assert (kind["retired"], kind["declared"]) == (False, True)
    (contract,) = kind["contracts"]
    assert contract["data"] == schema(email=address)
    assert contract["marks"] == {"sensitive": ["email"], "person": ["email"]}
    assert [(each["service"], each["release"], each["reads"]) for each in kind["handlers"]] == [
        ("archive", "7", [1]),
        ("invoices", "1", [1]),
    ]
    assert kind["handlers"][1]["policy"]["attempts"] == 5

    service = (await gateway.client.get(INVOICES)).json()
    assert (service["state"], service["kinds"], service["emits"]) == ("in_use", [KIND], ["email.requested"])
    assert service["declared"] is True
    assert service["registered_at"] == service["updated_at"]
    assert service["manifest"]["handles"][0]["data"] == schema(email=address)
    # What is shown can be registered again.
    again = await gateway.client.put(INVOICES, json=service["manifest"])
    assert (again.status_code, again.json()["changes"]) == (200, [])


async def test_an_incompatible_change_is_refused_with_each_difference(gateway: Gateway) -> None:
    await put(gateway, manifest())
    narrower = schema(note={"type": "string"})
    narrower["properties"]["order_id"]["maxLength"] = 10
    narrower["required"] = ["order_id", "note"]
    errors = await told(await put(gateway, manifest("invoices", "2", handled(data=narrower))))
    assert errors == [
        {
            "field": "/handles/0",
            "message": f"{KIND}: version 1 cannot change so, raise the version ({difference})",
        }
        for difference in (".note: the field is now required", ".order_id: maxLength was 20, now 10")
    ]
    wider = handled(data=schema(note={"type": "string"}))
    assert (await put(gateway, manifest("invoices", "2", wider))).json()["changes"] == [
        "invoices 1 becomes 2",
        f"{KIND}: version 1 is widened",
    ]
    raised = handled(version=2, reads=[1, 2], data=narrower)
    assert (await put(gateway, manifest("invoices", "3", raised))).status_code == 200
    kind = (await gateway.client.get(f"/v1/kinds/{KIND}")).json()
    assert (kind["version"], kind["versions"]) == (2, [1, 2])
    assert [contract["version"] for contract in kind["contracts"]] == [2, 1]


async def test_a_kind_of_others_and_a_name_of_ours_are_refused(gateway: Gateway) -> None:
    await put(gateway, manifest())
    theirs = handled(data=schema() | {"properties": {"order_id": {"type": "string", "maxLength": 5}}})
    (error,) = await told(await put(gateway, manifest("archive", "1", handled("archive.made"), theirs)))
    assert error["field"] == "/handles/1"
    assert error["message"].startswith(
        f"{KIND} belongs to invoices, whose contract allows more than this one"
    )
    (error,) = await told(await put(gateway, manifest("status")))
    assert error == {"field": "/service", "message": "status is a name of Waybill's own: choose another"}


async def test_a_version_that_open_tasks_have_must_be_read(gateway: Gateway) -> None:
    task = (await gateway.post("/v1/emails", EMAIL)).json()["id"]
    newer = email("2", version=2, reads=[2])
    (error,) = await told(await put(gateway, newer))
    assert error["message"] == ("email.requested: 1 open task of version 1, which this release does not read")
    assert (await put(gateway, email("2", version=2, reads=[1, 2]))).status_code == 200
    await complete(gateway, task)
    assert (await put(gateway, newer | {"release": "3"})).status_code == 200


async def test_a_service_with_work_left_is_not_retired_and_its_tasks_are_named(gateway: Gateway) -> None:
    task = (await gateway.post("/v1/emails", EMAIL)).json()["id"]
    schedule = {"name": "weekly", "kind": "email.requested", "cron": "0 8 * * MON", "body": EMAIL}
    made = (await gateway.post("/v1/schedules", schedule)).json()["id"]
    refusal = problem(await gateway.client.delete("/v1/services/email"), 409, "service_in_use")
    assert "1 open task and 1 schedule" in refusal["detail"]
    assert [error["field"] for error in refusal["errors"]] == [f"/v1/tasks/{task}", "/v1/schedules"]

    await gateway.client.delete(f"/v1/schedules/{made}")
    await complete(gateway, task)
    retired = await gateway.client.delete("/v1/services/email")
    assert retired.status_code == 200
    assert retired.json()["changes"][0] == "email is retired"
    assert "email.requested: tasks go to nobody: it is retired" in retired.json()["changes"]
    assert retired.json()["late"] == {"tasks": 0, "links": []}
    problem(await gateway.client.delete("/v1/services/email"), 404, "no_such_service")
    shown = (await gateway.client.get("/v1/services/email")).json()
    assert (shown["state"], shown["kinds"]) == ("retired", [])
    kind = (await gateway.client.get("/v1/kinds/email.requested")).json()
    assert (kind["retired"], kind["services"], kind["handlers"]) == (True, [], [])
    assert kind["contracts"]
    assert (await gateway.client.get(f"/v1/tasks/{task}")).status_code == 200


async def test_a_task_that_a_gateway_accepts_before_it_knows_is_told_of(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = new_task()

    async def meanwhile(*arguments: Any) -> Any:
        # As a gateway would with a copy from before.
        await gateway.resources.records.write(accept, Submission(task))
        return await fresh_registry(*arguments)

    monkeypatch.setattr(service_routes, "fresh_registry", meanwhile)
    retired = await gateway.client.delete("/v1/services/email")
    assert retired.json()["late"] == {"tasks": 1, "links": [f"/v1/tasks/{task.id}"]}


async def test_a_task_of_a_dropped_version_that_a_gateway_accepts_before_it_knows_is_told_of(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def meanwhile(*arguments: Any) -> Any:
        nonlocal looks
        looks += 1
        if looks > 1:
            await gateway.resources.records.write(accept, Submission(new_task()))
        return await fresh_registry(*arguments)

    monkeypatch.setattr(service_routes, "fresh_registry", meanwhile)
    (note,) = (await put(gateway, email("2", version=2, reads=[2]))).json()["notes"]
    assert note == (
        "email.requested: 1 open task of version 1 came meanwhile, which this release does not read"
    )


async def test_kinds_and_services_are_listed_page_by_page(gateway: Gateway) -> None:
    await put(gateway, manifest("invoices", "1", handled("invoice.printed"), handled()))

    async def listed(path: str, **params: Any) -> list[str]:
        names, cursor = [], None
        while True:
            wanted: dict[str, Any] = {"limit": 2, "cursor": cursor, **params}
            page = (
                await gateway.client.get(
                    path, params={name: value for name, value in wanted.items() if value}
                )
            ).json()
            assert len(page["items"]) <= 2
            names += [item["name"] for item in page["items"]]
            if (cursor := page["next_cursor"]) is None:
                return names

    assert await listed("/v1/kinds") == [
        "email.requested",
        "image.uploaded",
        "invoice.printed",
        "invoice.requested",
        "password_reset.requested",
        "sync.requested",
        "user.created",
    ]
    assert await listed("/v1/kinds", service="invoices") == ["invoice.printed", "invoice.requested"]
    assert await listed("/v1/kinds", service="nobody") == []
    assert await listed("/v1/services") == ["email", "images", "invoices", "sync"]
    problem(await gateway.client.get("/v1/kinds?cursor=x"), 422, "bad_cursor")
    problem(await gateway.client.get("/v1/kinds/no.such"), 404, "no_such_kind")


async def test_a_change_at_one_gateway_is_seen_at_another_at_once(tmp_path: Path, ledger_url: str) -> None:
    async with (
        running(tmp_path, ledger_url=ledger_url) as here,
        running(tmp_path, ledger_url=ledger_url) as there,
    ):
        assert (await put(here, manifest())).status_code == 201
        assert (await there.client.get(INVOICES)).json()["release"] == "1"
        assert (await put(there, manifest(release="2"))).status_code == 200
        assert (await here.client.get(INVOICES)).json()["release"] == "2"


@pytest.mark.parametrize(
    ("wrong", "pointers"),
    [
        ({"service": "billing"}, ["/service"]),
        ({"release": ""}, ["/release"]),
        ({"surprise": 1}, ["/surprise"]),
        ({"manifest": 2}, ["/manifest"]),
        ({"handles": None}, ["/handles"]),
        ({"handles": [handled(version="1")]}, ["/handles/0/version"]),
        ({"handles": [handled(), handled("Bad", reads=[0])]}, ["/handles/1/kind", "/handles/1/reads/0"]),
        ({"handles": [handled(reads=[2])]}, ["/handles/0"]),
        ({"handles": [handled(policy={"a/b": 1})]}, ["/handles/0/policy/a~1b"]),
        ({"handles": [handled(), handled()]}, [""]),
        ({"handles": [handled(f"a.k{n}") for n in range(201)]}, ["/handles"]),
    ],
)
async def test_what_is_no_manifest_is_refused_by_its_place(
    gateway: Gateway, wrong: dict[str, Any], pointers: list[str]
) -> None:
    answer = await gateway.client.put(INVOICES, json=manifest() | wrong)
    document = problem(answer, 422, "invalid_request")
    assert [error["field"] for error in document["errors"]] == pointers


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (schema(a={"type": "string", "pattern": "(a+)+\\1"}), "linear time"),
        (schema(a={"$ref": "https://example.com/x"}), "a reference must lead to"),
        (schema(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": {"$ref": "#/$defs/A"}}}, "back to itself"),
        (schema(a={"description": 70_000 * "x"}), "65,536 bytes"),
        (schema() | {"type": "string"}, "type must be object"),
        (schema(**{f"f{n}": {} for n in range(501)}), "more than 500 fields"),
    ],
)
async def test_a_schema_that_would_do_harm_is_refused(
    gateway: Gateway, data: dict[str, Any], reason: str
) -> None:
    (error, *_) = await told(await put(gateway, manifest("invoices", "1", handled(data=data))))
    assert reason in error["message"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b'{"manifest": NaN}', 400, "invalid_json"),
        (b"[1]", 422, "invalid_request"),
        (b'"' + (1 << 20) * b"x" + b'"', 413, "too_large"),
    ],
)
async def test_a_body_that_is_none_is_refused(gateway: Gateway, body: bytes, status: int, code: str) -> None:
    problem(await gateway.client.put(INVOICES, content=body, headers=JSON), status, code)


async def test_a_body_must_be_called_json(gateway: Gateway) -> None:
    problem(await gateway.client.put(INVOICES, content=b"{}"), 415, "not_json")


async def test_texts_that_databases_do_not_take_are_kept(gateway: Gateway) -> None:
    data = schema(note={"type": "string", "description": "nul \x00, 水", "maximum": 10**40})
    assert (await put(gateway, manifest("invoices", "1", handled(data=data)))).status_code == 201
    shown = (await gateway.client.get(f"/v1/kinds/{KIND}")).json()
    assert shown["contracts"][0]["data"] == data


@contextmanager
def statements(gateway: Gateway) -> Iterator[list[str]]:
    """The statements that the ledger gets in the block."""
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        seen.append(arguments[2])

    engine = gateway.resources.records.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_a_thousand_kinds_cost_a_task_nothing(gateway: Gateway) -> None:
    def register(engine: Engine) -> list[Application]:
        now = datetime.now(UTC)
        wanted = [ApplyManifest(made_of(number, 5), now, None) for number in range(200)]
        with engine.begin() as connection:
            return list(apply_manifests(connection, wanted))

    applied = await gateway.resources.records.prepare(register)
    assert [each.refusals for each in applied if each.refusals] == []
    assert len((await gateway.client.get("/v1/kinds?limit=500")).json()["items"]) == 500
    assert len(gateway.resources.kinds.current.kinds) == 1005
    large = ("contracts", "kinds", "routes", "services")
    with statements(gateway) as seen:
        assert (await gateway.post("/v1/emails", EMAIL)).status_code == 202
        assert (await gateway.client.get("/v1/kinds/team7.work3")).status_code == 200
        assert (await gateway.client.get("/v1/services/team-7")).status_code == 200
    assert [each for each in seen if any(f"FROM {table}" in each for table in large)] == []
