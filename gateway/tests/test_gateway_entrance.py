"""The bare address, and HEAD wherever GET is answered."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx
import pytest

from waybill_gateway.health.entrance import LINKS
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import letter_of
from waybill_testkit.exposition import values
from waybill_testkit.gateway.in_process import Gateway
from waybill_testkit.samples import dead_message, new_task, sync_event
from waybill_worker.runtime.http_server import HttpServer


@pytest.fixture
def database_system() -> str:
    """Nothing here depends on it."""
    return "sqlite"


async def test_the_bare_address_says_where_to_look(gateway: Gateway) -> None:
    answer = await gateway.client.get("/")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["name"] == "Waybill"
    assert answer.json()["links"] == LINKS
    for path in LINKS:
        assert (await gateway.client.get(path)).is_success, path


async def test_a_browser_gets_a_page_of_the_same(gateway: Gateway) -> None:
    asked = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    answer = await gateway.client.get("/", headers={"Accept": asked})
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["vary"] == "Accept"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for path in LINKS:
        assert f'href="{path}"' in answer.text


@pytest.fixture
async def served(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """The same over a real connection, on which a body that HEAD must not have would be seen."""
    server = HttpServer(gateway.app, host="127.0.0.1", port=0, listener_fd=None, lifespan="off")
    port = await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client
    await server.stop()


@pytest.mark.parametrize(
    "path",
    ["/", "/healthz", "/readyz", "/openapi.json", "/docs", "/v1/tasks", "/v1/tasks/nonsense", "/nowhere"],
)
async def test_head_is_get_without_the_body(served: httpx.AsyncClient, path: str) -> None:
    got, head = await served.get(path), await served.head(path)

    assert (head.status_code, head.content) == (got.status_code, b"")
    for name in ("content-type", "content-length"):
        assert head.headers.get(name) == got.headers.get(name)
    if "content-length" in got.headers:
        assert head.headers["content-length"] == str(len(got.content))
    # The connection is as it should be: what follows is read right.
    assert (await served.get("/healthz")).json()["status"] == "alive"


async def test_head_reads_nothing_of_a_stream_that_does_not_end(
    gateway: Gateway, served: httpx.AsyncClient
) -> None:
    letter = dead_message(sync_event(), new_task().id)
    await gateway.resources.records.write(take_in, letter_of(letter, gate=gateway.resources.gate))
    planned = await gateway.post("/v1/redrives", {"filter": {"service": "sync"}})
    async with asyncio.timeout(30):
        head = await served.head(f"{planned.headers['Location']}/events")

    assert head.status_code == HTTPStatus.OK
    assert head.headers["content-type"].startswith("text/event-stream")


async def test_head_is_measured_by_its_route(gateway: Gateway) -> None:
    await gateway.client.head("/v1/tasks/nonsense")
    seen = values((await gateway.client.get("/metrics")).text, "waybill_http_request_seconds_count")

    assert seen["HEAD", "/v1/tasks/{task_id}", "422"] == 1


async def test_a_path_without_get_has_no_head(gateway: Gateway) -> None:
    refused = await gateway.client.head("/v1/emails")
    assert (refused.status_code, refused.headers["Allow"]) == (HTTPStatus.METHOD_NOT_ALLOWED, "POST")
