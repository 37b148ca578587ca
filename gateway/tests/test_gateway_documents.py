import json
import re
from typing import Any

import pytest
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

from waybill_contracts.registry import built_in_registry
from waybill_gateway.docs.asyncapi import asyncapi_document
from waybill_gateway.documents import FOLDER, current_documents
from waybill_testkit.gateway.in_process import Gateway
from waybill_worker.broker import topology


@pytest.fixture
def database_system() -> str:
    """Nothing here depends on it."""
    return "sqlite"


@pytest.mark.parametrize("name", ["openapi.json", "asyncapi.json"])
def test_the_committed_document_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text() == current_documents()[name], (
        "an interface changed: if that is meant, run `make schemas`"
    )


async def test_asyncapi_is_served(gateway: Gateway) -> None:
    answer = await gateway.client.get("/asyncapi.json")
    assert answer.status_code == 200
    assert answer.json() == asyncapi_document()


def test_asyncapi_is_read_by_another_library() -> None:
    ApplicationSchema.model_validate(asyncapi_document())


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [ref for value in part.values() for ref in references(value)]
    return [ref for item in part for ref in references(item)] if isinstance(part, list) else []


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi_document()
    assert references(document)
    for reference in references(document):
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def test_every_kind_and_every_consumed_queue_is_in_it() -> None:
    document = asyncapi_document()
    assert built_in_registry().kinds.keys() <= document["components"]["messages"].keys()
    queues = {queue.name for queue in topology.queues(built_in_registry())}
    consumed = {f"{service}.{end}" for service in built_in_registry().services for end in ("work", "control")}
    assert consumed | {"status.work"} <= document["channels"].keys()
    bound = [channel["bindings"]["amqp"] for channel in document["channels"].values()]
    assert {binding["queue"]["name"] for binding in bound if binding["is"] == "queue"} <= queues
    exchanges = {binding["exchange"]["name"] for binding in bound if binding["is"] == "routingKey"}
    assert exchanges == {"tasks", "events", "cancellations"}


def test_a_kinds_payload_has_its_fields() -> None:
    schemas = asyncapi_document()["components"]["schemas"]
    for name, kind in built_in_registry().kinds.items():
        contract = kind.current
        assert schemas[f"{name}.v{contract.version}"]["properties"].keys() == contract.fields
    assert not re.search(r"\"#/\$defs", json.dumps(schemas))
