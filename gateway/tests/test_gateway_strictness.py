"""What callers send is taken for what it says, or refused: text, numbers, truth values, headers, cursors."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from pydantic_core import from_json

from waybill_gateway.documents import FOLDER
from waybill_gateway.http.single_headers import SINGLE_HEADERS
from waybill_ledger.schema.tables import TASKS
from waybill_testkit.gateway.in_process import EMAIL, JSON, Gateway, fields, problem

#: Another test holds it to be what the code describes now; to describe it takes each worker a second.
DOCUMENT: dict[str, Any] = from_json((FOLDER / "openapi.json").read_text())
SYNC = {"target": "crm", "resource": "contacts", "id": "ada", "data": {}}
NIGHTLY = {"name": "nightly", "kind": "sync.requested", "body": SYNC, "cron": "0 3 * * *"}
UUID = "01a20797-6d09-71fe-b759-803ec3a459ee"
#: The way to a value: names of fields, and 0 for each list.
Place = tuple[str | int, ...]


def variants_of(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema itself, or those that it is one of."""
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    alternatives = [each for word in ("anyOf", "oneOf", "allOf") for each in schema.get(word, ())]
    for each in alternatives:
        yield from variants_of(each)
    if not alternatives:
        yield schema


def leaves(schema: dict[str, Any], path: Place = ()) -> Iterator[tuple[Place, str]]:
    """Each value in a body that has a type of its own: the way to it, and the type."""
    for each in variants_of(schema):
        if "properties" in each:
            for name, below in each["properties"].items():
                yield from leaves(below, (*path, name))
        elif each.get("type") == "array":
            yield from leaves(each["items"], (*path, 0))
        elif "enum" not in each and "const" not in each and "type" in each:
            yield path, each["type"]


def body_with(path: Place, value: object) -> object:
    for step in reversed(path):
        value = [value] if isinstance(step, int) else {step: value}
    return value


#: Method, path, and each value in its body: the way to it and its type.
BODIES = [
    (method, path, place, type_)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if "application/json" in operation.get("requestBody", {}).get("content", {})
    for place, type_ in leaves(operation["requestBody"]["content"]["application/json"]["schema"])
    # The data of a task is that of a kind, which is tried with the kinds.
    if not (path.startswith("/v1/tasks") and "data" in place)
]
#: Where wrong fields are named by JSON Pointers.
POINTED = {"/v1/services/{name}"}
#: Path and name of each parameter of a query.
QUERIES = [
    (path, parameter["name"])
    for path, item in DOCUMENT["paths"].items()
    # Below, a link that is none is refused before its parameters are read.
    if not path.startswith("/v1/watch/")
    for parameter in item.get("get", {}).get("parameters", ())
    if parameter["in"] == "query"
]


def at_some_id(path: str) -> str:
    for name in ("task_id", "schedule_id", "key_id"):
        path = path.replace(f"{{{name}}}", UUID)
    path = path.replace("{name}", "invoices")
    return path.replace("{group}", "a" * 64).replace("{letter_id}", "1").replace("{redrive_id}", "1")


WRONG: dict[str, list[object]] = {
    "integer": [True, "1"],
    "number": [True, "1"],
    "boolean": [1, "true"],
    "string": ["a\0b"],
}


async def test_each_value_of_a_body_is_what_it_says(gateway: Gateway) -> None:
    assert {type_ for *_, type_ in BODIES} >= WRONG.keys()
    for method, path, place, type_ in BODIES:
        between = "/" if path in POINTED else "."
        named = between.join(map(str, ("", *place) if path in POINTED else place))
        for value in WRONG.get(type_, ()):
            answer = await gateway.client.request(method, at_some_id(path), json=body_with(place, value))
            assert named in fields(answer), (method, path, value, answer.text)


async def test_no_parameter_takes_a_nul(gateway: Gateway) -> None:
    assert len(QUERIES) > 40
    for path, name in QUERIES:
        answer = await gateway.client.get(f"{at_some_id(path)}?{name}=a%00b")
        assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY, (path, name, answer.text)
        # Of a parameter that may be given several times, the field has the number of the value too.
        assert name in {error["field"].removesuffix(".0") for error in answer.json()["errors"]}


async def test_no_path_takes_a_nul(gateway: Gateway) -> None:
    paths = [(path, method) for path, item in DOCUMENT["paths"].items() for method in item if "{" in path]
    assert len(paths) > 20
    for path, method in paths:
        asked = re.sub(r"\{.*?\}", "a%00b", path)
        answer = await gateway.client.request(method, asked, json={})
        assert answer.status_code in {404, 422}, (path, answer.text)


@pytest.mark.parametrize("half", [b'"\\ud800"', b'"\xed\xa0\x80"'], ids=["escaped", "encoded"])
async def test_half_of_a_surrogate_pair_is_no_text(gateway: Gateway, half: bytes) -> None:
    body = b'{"target": "crm", "resource": "contacts", "id": "1", "data": {"name": %s}}' % half
    problem(await gateway.post_raw("/v1/syncs", body), 400, "invalid_json")


async def test_data_of_the_caller_s_own_may_hold_a_nul(gateway: Gateway) -> None:
    accepted = await gateway.post("/v1/syncs", SYNC | {"data": {"name": "a\0b"}})
    assert accepted.status_code == HTTPStatus.ACCEPTED
    made = await gateway.post("/v1/schedules", NIGHTLY | {"body": SYNC | {"data": {"name": "a\0b"}}})
    assert made.status_code == HTTPStatus.CREATED


async def test_numbers_are_taken_as_json_writes_them(gateway: Gateway) -> None:
    for delay in (1, 1.5, 1e2):
        assert (await gateway.post("/v1/emails", EMAIL | {"delay_seconds": delay})).status_code == 202


@pytest.mark.parametrize("name", sorted(SINGLE_HEADERS))
async def test_a_header_that_counts_once_may_not_come_twice(gateway: Gateway, name: bytes) -> None:
    once = {b"content-type": b"application/json"}
    headers = [*(once | {name: once.get(name, b"one")}).items(), (name, b"other")]
    refused = await gateway.client.post("/v1/syncs", content=b"{}", headers=headers)
    assert name.decode() in problem(refused, 400, "repeated_header")["detail"]
    assert await gateway.count(TASKS) == 0


async def test_a_header_that_may_come_in_several_lines_may(gateway: Gateway) -> None:
    headers = [("accept", "application/json"), ("accept", "text/plain"), *JSON.items()]
    answer = await gateway.client.post("/v1/syncs", json=SYNC, headers=headers)
    assert answer.status_code == HTTPStatus.ACCEPTED


async def pages(gateway: Gateway, path: str, **asked: str) -> httpx.Response:
    return await gateway.client.get(path, params={"limit": "1"} | asked)


async def test_a_cursor_belongs_to_its_listing_and_its_filters(gateway: Gateway) -> None:
    for number in range(3):
        await gateway.post("/v1/syncs", SYNC | {"id": str(number)})
        await gateway.post("/v1/schedules", NIGHTLY | {"name": str(number)})
    of_tasks = (await pages(gateway, "/v1/tasks")).json()["next_cursor"]
    of_schedules = (await pages(gateway, "/v1/schedules")).json()["next_cursor"]
    [second] = (await pages(gateway, "/v1/tasks", cursor=of_tasks)).json()["items"]
    assert second["about"] == "crm/contacts/1"
    # More of them on the next page is no other question.
    assert len((await pages(gateway, "/v1/tasks", cursor=of_tasks, limit="5")).json()["items"]) == 2

    for path, cursor in (("/v1/schedules", of_tasks), ("/v1/tasks", of_schedules)):
        refused = problem(await pages(gateway, path, cursor=cursor), 422, "bad_cursor")
        assert "of another listing" in refused["detail"]
        assert refused["errors"][0]["field"] == "cursor"
    filtered = await pages(gateway, "/v1/tasks", cursor=of_tasks, kind="sync.requested")
    assert "other filters" in problem(filtered, 422, "bad_cursor")["detail"]
    within = await pages(gateway, "/v1/tasks", kind="sync.requested")
    more = await pages(gateway, "/v1/tasks", kind="sync.requested", cursor=within.json()["next_cursor"])
    assert more.status_code == HTTPStatus.OK
