"""Gateway, services and status service on a real broker, and a collector: one task, one trace."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import SMTP
from structlog.testing import LogCapture

from tests.broker.otlp_receiver import Received, Receiver, receiving
from waybill_email.app import service as email
from waybill_email.settings import EmailSettings
from waybill_status.app import make_service as make_status
from waybill_status.settings import StatusSettings
from waybill_sync.app import service as sync
from waybill_sync.settings import SyncSettings
from waybill_testkit.empty_ledger import empty_ledger
from waybill_testkit.eventually import eventually
from waybill_testkit.gateway.in_process import Gateway, running
from waybill_worker.observe.tracing import configure_tracing, shut_down_tracing
from waybill_worker.runtime.process import Lifecycle

TRACE_ID, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
USER = {"email": "canary@example.com", "name": "Canary Bird"}
SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5


@dataclass
class Target:
    """Answers 503 to as many requests as `failures` says, then 201."""

    url: str = ""
    failures: int = 0
    traceparents: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
        await reader.readexactly(int(headers["content-length"]))
        self.traceparents.append(headers.get("traceparent", ""))
        status = "503 Busy" if self.failures else "201 Created"
        self.failures = max(0, self.failures - 1)
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()


@dataclass
class World:
    gateway: Gateway
    target: Target
    receiver: Receiver
    log: LogCapture

    async def post(
        self, path: str, body: object, flags: str = "01", trace_id: str = TRACE_ID
    ) -> dict[str, Any]:
        """Posts as part of a caller's trace, and waits for the task's outcome."""
        answer = await self.gateway.post(path, body, traceparent=f"00-{trace_id}-{CALLER}-{flags}")
        location = answer.headers["Location"]

        async def done() -> dict[str, Any] | None:
            task: dict[str, Any] = (await self.gateway.client.get(location)).json()
            return task if task["state"] == "completed" else None

        return await eventually(done)

    async def trace(self, spans: int, trace_id: str = TRACE_ID) -> list[Received]:
        """The spans of a trace, once there are so many; more would be wrong."""

        def exported() -> list[Received] | None:
            found = self.receiver.of(trace_id)
            return found if len(found) >= spans else None

        found = await eventually(exported)
        assert len(found) == spans, sorted(span.name for span in found)
        return found


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        configure_tracing("test", os.environ)
        yield receiver
        shut_down_tracing()


@pytest.fixture
def log() -> Iterator[LogCapture]:
    captured = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, captured])
    yield captured
    structlog.reset_defaults()


@asynccontextmanager
async def started(service: Lifecycle) -> AsyncIterator[None]:
    try:
        await service.start()
        yield
    finally:
        await service.stop()


@pytest.fixture
async def world(
    receiver: Receiver, log: LogCapture, topology_url: str, tmp_path: Path
) -> AsyncIterator[World]:
    loop = asyncio.get_running_loop()
    target = Target()
    http = await asyncio.start_server(target.serve, "127.0.0.1", 0)
    target.url = f"http://127.0.0.1:{http.sockets[0].getsockname()[1]}"
    smtp = await loop.create_server(partial(SMTP, Sink(), loop=loop), "127.0.0.1", 0)
    (tmp_path / "ledger.db").write_bytes(empty_ledger())
    common: dict[str, Any] = {"amqp_url": topology_url, "retry_base_seconds": 1, "retry_cap_seconds": 1}
    services: list[Lifecycle] = [
        make_status(StatusSettings(**common, ledger_url=f"sqlite:///{tmp_path}/ledger.db")),
        email.process(
            EmailSettings(
                **common,
                inbox_url=f"sqlite:///{tmp_path}/email.db",
                sender="a@b.test",
                smtp_port=smtp.sockets[0].getsockname()[1],
                smtp_tls="none",
            )
        ),
        sync.process(
            SyncSettings(**common, inbox_url=f"sqlite:///{tmp_path}/sync.db", targets={"crm": target.url})
        ),
    ]
    async with AsyncExitStack() as stack:
        for service in services:
            await stack.enter_async_context(started(service))
        gateway = await stack.enter_async_context(running(tmp_path, amqp_url=topology_url))
        await eventually(lambda: gateway.resources.relay.is_connected)
        yield World(gateway, target, receiver, log)
    for server in (http, smtp):
        server.close()
        await server.wait_closed()


def child(spans: list[Received], parent: str, name: str) -> Received:
    [found] = [span for span in spans if span.parent == parent and span.name.startswith(name)]
    return found


async def test_one_trace_leads_from_the_request_through_a_retry_to_the_effects(world: World) -> None:
    world.target.failures = 1
    task = await world.post("/v1/users", USER)
    # Request and send; of the mail attempt, effect, two records; of the record twice as much, and a send.
    spans = await world.trace(15)

    request = child(spans, CALLER, "POST /v1/users")
    assert (request.kind, request.attributes["http.response.status_code"]) == (SERVER, 202)
    send = child(spans, request.id, "send tasks")
    assert send.kind == PRODUCER
    mail = child(spans, send.id, "process email.work")
    assert child(spans, mail.id, "send mail").kind == CLIENT
    assert child(spans, mail.id, "record task.completed").kind == CONSUMER
    first = child(spans, send.id, "process sync.work")
    assert first.kind == CONSUMER
    assert first.is_error
    assert (
        first.attributes
        | {
            "messaging.system": "rabbitmq",
            "messaging.operation.type": "process",
            "messaging.destination.name": "sync.work",
            "waybill.task_id": task["id"],
            "waybill.attempt": 1,
            "waybill.outcome": "retry",
            "error.type": "ServerFailureError",
        }
        == first.attributes
    )
    refused = child(spans, first.id, "PUT")
    assert (refused.attributes["http.response.status_code"], refused.is_error) == (503, True)
    child(spans, first.id, "record task.retrying")
    second = child(spans, child(spans, first.id, "send delay.").id, "process sync.work")
    assert (second.attributes["waybill.attempt"], second.is_error) == (2, False)
    accepted = child(spans, second.id, "PUT")
    assert accepted.attributes["http.response.status_code"] == 201
    assert world.target.traceparents == [f"00-{TRACE_ID}-{span.id}-01" for span in (refused, accepted)]


async def test_record_and_logs_tell_the_traces_id_and_the_spans_nothing_of_people(world: World) -> None:
    task = await world.post("/v1/users", USER)
    await world.trace(10)

    assert task["trace_id"] == TRACE_ID
    lines = [line for line in world.log.entries if line.get("task_id") == task["id"]]
    assert {line["event"] for line in lines} >= {"task accepted", "attempt completed"}
    assert {line["trace_id"] for line in lines} == {TRACE_ID}
    for body in world.receiver.bodies:
        assert b"canary" not in body.lower()


async def test_tasks_that_share_messages_and_commits_keep_to_their_own_traces(world: World) -> None:
    ids = [f"{number:032x}" for number in range(1, 31)]
    sync = {"target": "crm", "resource": "contacts", "id": "1", "data": {"a": 1}}
    tasks = await asyncio.gather(*(world.post("/v1/syncs", sync, trace_id=trace_id) for trace_id in ids))
    for trace_id, task in zip(ids, tasks, strict=True):
        spans = await world.trace(6, trace_id)
        attempt = child(
            spans, child(spans, child(spans, CALLER, "POST").id, "send tasks").id, "process sync.work"
        )
        child(spans, attempt.id, "PUT")
        child(spans, attempt.id, "record task.started")
        child(spans, attempt.id, "record task.completed")
        assert {span.attributes.get("waybill.task_id", task["id"]) for span in spans} == {task["id"]}


async def test_what_its_caller_does_not_sample_is_not_recorded(world: World) -> None:
    unsampled = "f" * 32
    task = await world.post("/v1/users", USER, flags="00", trace_id=unsampled)
    assert task["trace_id"] == unsampled
    await world.post("/v1/users", USER)
    await world.trace(10)

    assert world.receiver.of(unsampled) == []
