import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from keys_under_test import key_in
from openapi_spec_validator import validate

from waybill_contracts.registry import HandledKind, Manifest, Registry, registry_of
from waybill_gateway.docs import installation
from waybill_gateway.docs.kind_schemas import kind_schemas, with_kinds
from waybill_ledger import Scope
from waybill_testkit.gateway.in_process import Gateway, running

METHODS = {"get", "post", "put", "delete", "patch"}
#: Where each model with examples is posted.
POSTED = {
    "PostEmail": "/v1/emails",
    "PostUser": "/v1/users",
    "PostSync": "/v1/syncs",
    "PostPasswordReset": "/v1/password-resets",
    "PostSchedule": "/v1/schedules",
}


@pytest.fixture
def database_system() -> str:
    """Nothing here depends on it."""
    return "sqlite"


@pytest.fixture
async def document(gateway: Gateway) -> dict[str, Any]:
    answer = await gateway.client.get("/openapi.json")
    described: dict[str, Any] = answer.json()
    return described


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [item[method] for item in document["paths"].values() for method in METHODS & item.keys()]


async def test_it_is_valid_openapi_whose_references_all_lead_somewhere(document: dict[str, Any]) -> None:
    validate(document)
    schemas = document["components"]["schemas"]
    referred = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert {"ProblemDocument", "FieldError", "TaskView"} <= referred <= schemas.keys()


async def test_each_operation_has_words_a_described_tag_and_its_problems(document: dict[str, Any]) -> None:
    described = {tag["name"] for tag in document["tags"]}
    names = set()
    for operation in operations(document):
        assert operation["summary"]
        assert operation["description"]
        assert set(operation["tags"]) <= described
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert "500" in errors
        if operation["tags"] != ["health"]:
            types = {kind for error in errors.values() for kind in error["content"]}
            # The problems of a page for people are pages.
            is_page = operation["operationId"] == "show_linked_task"
            assert types == {"application/problem+json"} | ({"text/html"} if is_page else set())
            assert ("422" in errors) == ("parameters" in operation or "requestBody" in operation)
        names.add(operation["operationId"])
    assert len(names) == len(operations(document))


async def test_an_image_is_described_as_a_multipart_form(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/images"]["post"]["requestBody"]
    assert list(body["content"]) == ["multipart/form-data"]
    file = document["components"]["schemas"]["PostImage"]["properties"]["file"]
    # `format` is what generators of clients know, `contentMediaType` what OpenAPI 3.1 says.
    assert (file["type"], file["format"]) == ("string", "binary")
    assert file["contentMediaType"] == "application/octet-stream"


async def test_each_answer_that_has_a_body_has_a_media_type_with_a_schema(document: dict[str, Any]) -> None:
    for operation in operations(document):
        for status, answer in operation["responses"].items():
            if status in {"204", "307"} or (operation["tags"] == ["health"] and status == "503"):
                continue
            assert answer["content"], operation["operationId"]
            assert [kind for kind, body in answer["content"].items() if "schema" not in body] == []
    variant = document["paths"]["/v1/images/{task_id}/{variant}"]["get"]["responses"]["200"]
    binary = {"schema": {"type": "string", "format": "binary"}}
    assert variant["content"] == {"image/webp": binary, "image/jpeg": binary}


async def test_each_problem_of_an_operation_is_described_with_its_meaning(document: dict[str, Any]) -> None:
    upload = document["paths"]["/v1/images"]["post"]["responses"]
    assert (
        "- `urn:waybill:problem:too_costly`: Decoding the image takes too much"
        in upload["422"]["description"]
    )
    assert "urn:waybill:problem:image_check_too_slow" in upload["503"]["description"]
    for operation in operations(document):
        assert {"400", "408", "431", "500"} <= operation["responses"].keys()
        for status, answer in operation["responses"].items():
            if "application/problem+json" in answer.get("content", {}):
                assert re.search(r"\n- `urn:waybill:problem:\w+`: \w", answer["description"]), status


async def test_what_openapi_has_clients_ignore_is_not_described(document: dict[str, Any]) -> None:
    named = {p["name"].lower() for o in operations(document) for p in o.get("parameters", ())}
    assert named & {"accept", "content-type", "authorization"} == set()


@pytest.mark.parametrize(("model", "path"), POSTED.items())
async def test_each_example_is_accepted(
    gateway: Gateway, document: dict[str, Any], model: str, path: str
) -> None:
    examples = document["components"]["schemas"][model]["examples"]
    assert examples
    for example in examples:
        answer = await gateway.post(path, example)
        assert answer.status_code == (201 if model == "PostSchedule" else 202), answer.text


async def test_the_example_of_a_token_could_be_one(gateway: Gateway, document: dict[str, Any]) -> None:
    [example] = document["components"]["schemas"]["RedeemPasswordReset"]["examples"]
    assert (await gateway.post("/v1/password-resets/redeem", example)).status_code == 404


# What serves the page reads its files in a way that Python 3.11 and 3.12 call deprecated, and 3.13 does not.
@pytest.mark.filterwarnings("ignore:open_binary is deprecated:DeprecationWarning")
async def test_the_page_for_people_needs_no_internet(gateway: Gateway) -> None:
    page = await gateway.client.get("/docs")
    assert page.status_code == 200
    assert "/openapi.json" in page.text
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {httpx.URL(part).host for part in parts} == {gateway.client.base_url.host}
    for part in parts:
        assert (await gateway.client.get(part)).status_code == 200


NESTED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
        "note": {"const": {"$ref": "#/$defs/Line"}},
    },
    "required": ["lines"],
    "$defs": {"Line": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Line"}}}},
}


async def registered(gateway: Gateway, *kinds: str) -> dict[str, Any]:
    """The document of an installation where a team has registered kinds."""
    handles = [{"kind": kind, "reads": [1], "data": NESTED} for kind in kinds]
    body = {"manifest": 1, "service": "invoices", "release": "1", "handles": handles}
    made = await gateway.client.put("/v1/services/invoices", json=body)
    assert made.status_code == 201, made.text
    described: dict[str, Any] = (await gateway.client.get("/openapi.json")).json()
    return described


async def test_the_document_of_an_installation_has_its_kinds(
    gateway: Gateway, document: dict[str, Any]
) -> None:
    described = await registered(gateway, "invoice.requested")
    validate(described)
    schemas = described["components"]["schemas"]
    assert "InvoiceRequestedV1" not in document["components"]["schemas"]
    assert "EmailRequestedV1" in document["components"]["schemas"]
    data = schemas["InvoiceRequestedV1"]
    assert data["properties"]["lines"]["items"] == {"$ref": "#/components/schemas/InvoiceRequestedV1_Line"}
    assert data["properties"]["note"] == NESTED["properties"]["note"]
    line = schemas["InvoiceRequestedV1_Line"]
    assert line["properties"]["next"] == {"$ref": "#/components/schemas/InvoiceRequestedV1_Line"}


async def test_the_document_is_made_once_for_each_revision(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(document: dict[str, Any], registry: Registry) -> dict[str, Any]:
        made.append(registry.revision)
        return with_kinds(document, registry)

    monkeypatch.setattr(installation, "with_kinds", counted)
    for _ in range(3):
        await gateway.client.get("/openapi.json")
    assert len(made) == 1
    await registered(gateway, "invoice.requested")
    await gateway.client.get("/openapi.json")
    assert len(made) == 2


def test_kinds_of_the_same_words_have_names_of_their_own() -> None:
    handles = tuple(HandledKind(kind=kind, reads=(1,), data=NESTED) for kind in ("a.b_c", "a.b.c", "d.e"))
    names = kind_schemas(registry_of(Manifest(service="team", release="1", handles=handles))).keys()
    assert len(names) == 6
    assert "DEV1" in names
    assert sum(name.startswith("ABCV1_") for name in names) == 4


def test_a_route_for_tasks_of_all_kinds_takes_one_alternative_for_each_kind() -> None:
    general = {
        "title": "PostTask",
        "type": "object",
        "additionalProperties": False,
        "properties": {"kind": {"type": "string"}, "data": {"type": "object"}, "delay_seconds": {}},
        "required": ["kind", "data"],
    }
    document: dict[str, Any] = {
        "components": {"schemas": {"PostTask": general, "BulkTask": general}},
    }
    handled = HandledKind(kind="invoice.requested", reads=(1,), data=NESTED)
    manifest = Manifest(service="invoices", release="1", handles=(handled,))
    schemas = with_kinds(document, registry_of(manifest))["components"]["schemas"]
    one = "#/components/schemas/InvoiceRequestedV1Task"
    assert schemas["PostTask"]["oneOf"] == [{"$ref": one}]
    assert schemas["PostTask"]["discriminator"]["mapping"] == {"invoice.requested": one}
    task = schemas["InvoiceRequestedV1Task"]
    assert task["properties"]["kind"] == {"type": "string", "const": "invoice.requested"}
    assert task["properties"]["data"] == {"$ref": "#/components/schemas/InvoiceRequestedV1"}
    assert task["properties"]["version"]["anyOf"][0] == {"type": "integer", "const": 1}
    assert task["properties"]["delay_seconds"] == {}
    assert schemas["BulkTask"]["oneOf"] == [{"$ref": "#/components/schemas/InvoiceRequestedV1BulkTask"}]
    assert document["components"]["schemas"]["PostTask"] is general


async def test_tasks_of_all_kinds_are_typed_where_they_are_posted(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for path, posted in (("/v1/tasks", "PostTask"), ("/v1/tasks/bulk", "BulkTask")):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        taken = json.dumps(body) + json.dumps(schemas.get("PostTasks"))
        assert f'"#/components/schemas/{posted}"' in taken
        assert "email.requested" in schemas[posted]["discriminator"]["mapping"]


async def test_who_has_no_key_sees_the_built_in_kinds_alone(tmp_path: Path) -> None:
    async with running(tmp_path, gateway_auth="keys") as gateway:
        key = await key_in(gateway, Scope.SUBMIT)
        deployer = await key_in(gateway, Scope.DEPLOY)
        handled = {"kind": "invoice.requested", "reads": [1], "data": NESTED}
        body = {"manifest": 1, "service": "invoices", "release": "1", "handles": [handled]}
        assert (
            await gateway.client.put("/v1/services/invoices", json=body, headers=deployer)
        ).status_code == 201
        for headers, number in ((None, 0), (key, 1), (None, 0), (deployer, 1)):
            answer = await gateway.client.get("/openapi.json", headers=headers)
            assert answer.text.count('"InvoiceRequestedV1":') == number
            assert "EmailRequestedV1" in answer.text
