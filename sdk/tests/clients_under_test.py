"""Both clients, asked in the same way, and a gateway that answers what a test says."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from inspect import isawaitable
from pathlib import Path
from typing import Any, Protocol

import pytest

from waybill import AsyncClient, Client, Event
from waybill_testkit.gateway.served import Served, served

LINKS = {"self": "/v1/tasks/1", "timeline": "/v1/tasks/1/timeline"}
ACCEPTED = {"id": "1", "kind": "order.placed", "state": "pending", "links": LINKS}


class OrderPlaced(Event, kind="order.placed", version=2):
    order_id: str
    gift: bool = False


class Ask(Protocol):
    """Asks one of the clients, and gives its answer."""

    def __call__(self, url: str, question: Callable[[Any], Any], **options: Any) -> Any: ...


def ask_sync(url: str, question: Callable[[Any], Any], **options: Any) -> Any:
    with Client(url, **options) as client:
        answer = question(client)
        return list(answer) if isinstance(answer, Iterator) else answer


def ask_async(url: str, question: Callable[[Any], Any], **options: Any) -> Any:
    async def asked() -> Any:
        async with AsyncClient(url, **options) as client:
            answer = question(client)
            if isinstance(answer, AsyncIterator):
                return [each async for each in answer]
            return await answer if isawaitable(answer) else answer

    return asyncio.run(asked())


@pytest.fixture(params=[ask_sync, ask_async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Asks the client that blocks, and that for asyncio."""
    given: Ask = request.param
    return given


@dataclass(frozen=True)
class Scripted:
    """One answer of a scripted gateway."""

    status: int = 202
    body: Any = field(default_factory=lambda: ACCEPTED)
    headers: dict[str, str] = field(default_factory=dict)
    #: Seconds before it is sent.
    after: float = 0
    #: The connection is closed instead.
    cut: bool = False


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    #: Of the client's side of the connection.
    port: int

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class ScriptedGateway:
    url: str = ""
    received: list[Received] = field(default_factory=list)


@contextmanager
def scripted(answers: Sequence[Scripted], port: int = 0) -> Iterator[ScriptedGateway]:
    """A server that gives these answers in turn, the last one again and again; 0: at any free port."""
    gateway = ScriptedGateway()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            port = self.client_address[1]
            gateway.received.append(Received(self.command, self.path, headers, body, port))
            say = answers[min(len(gateway.received), len(answers)) - 1]
            time.sleep(say.after)
            if say.cut:
                self.close_connection = True
                return
            content = say.body if isinstance(say.body, bytes) else json.dumps(say.body).encode()
            try:
                self.send_response(say.status)
                for name, value in ({"Content-Length": str(len(content))} | say.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
            except OSError:  # the client has given up, as the test wants
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - named by the base class

        def log_message(self, *_args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    gateway.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield gateway
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def problem(status: int, code: str, **more: Any) -> Scripted:
    """A problem document as an answer; `more` are its further fields, and `headers`."""
    headers = more.pop("headers", {})
    document = {"type": f"urn:waybill:problem:{code}", "title": "Title", "status": status, "detail": "Why."}
    return Scripted(status, document | more, headers | {"Content-Type": "application/problem+json"})


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Served]:
    """A real gateway, with a ledger and without a broker."""
    with served(tmp_path) as running:
        yield running
