"""The handlers with the real client, against a real HTTP server on a loopback socket."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.kinds.users import UserCreated
from waybill_sync.client import SyncClient
from waybill_sync.handlers import Targets, sync_record, sync_user
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.errors import PermanentError


class Crm(HTTPServer):
    requests: list[tuple[str, str | None, object]]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.requests = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Crm

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, self.headers["Idempotency-Key"], body))
        self.send_response(201)
        self.send_header("Location", self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def crm() -> Iterator[Crm]:
    with Crm() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def attempt(number: int = 1) -> Attempt:
    return Attempt("0198", "sync", "any", "c", number, 5, 0, None)


async def test_a_record_goes_where_the_event_says(crm: Crm) -> None:
    client = SyncClient({"crm": crm.url})
    event = SyncRequested(target="crm", resource="orders", id="o-1", data={"total": 3})

    results = [await sync_record(event, attempt(number), Targets(client, "crm")) for number in (1, 2)]

    assert crm.requests == [("/orders/o-1", "0198.sync", {"total": 3})] * 2
    assert results == [{"target": "crm", "status": 201, "location": "/orders/o-1"}] * 2


async def test_a_new_user_goes_to_the_configured_target(crm: Crm) -> None:
    client = SyncClient({"crm": crm.url})
    event = UserCreated(user_id="7", email="ada@example.com", name="Ada", attributes={"plan": "pro"})

    result = await sync_user(event, attempt(), Targets(client, "crm"))

    data = {"email": "ada@example.com", "name": "Ada", "attributes": {"plan": "pro"}}
    assert crm.requests == [("/users/7", "0198.sync", data)]
    assert result == {"target": "crm", "status": 201, "location": "/users/7"}


async def test_an_unknown_target_is_refused_for_good(crm: Crm) -> None:
    client = SyncClient({"crm": crm.url})

    with pytest.raises(PermanentError, match="configured: crm"):
        await sync_record(
            SyncRequested(target="erp", resource="r", id="1", data={}), attempt(), Targets(client, "crm")
        )

    assert crm.requests == []
