"""A broker that refuses a process: said once, seen in its health, and over as soon as it is corrected."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aio_pika
import httpx
import pytest
from structlog.testing import capture_logs

from waybill_contracts.kinds.images import ImageUploaded
from waybill_contracts.registry import built_in_registry
from waybill_deploy.definitions import ADMINISTRATOR, definitions
from waybill_deploy.processes import processes_of
from waybill_gateway.app import create_app
from waybill_gateway.settings import GatewaySettings
from waybill_status.app import StatusService
from waybill_status.settings import StatusSettings
from waybill_testkit.broker import Broker
from waybill_testkit.empty_ledger import put_empty_ledger
from waybill_testkit.eventually import eventually
from waybill_testkit.machine.one_at_a_time import one_at_a_time
from waybill_testkit.machine.ports import free_ports
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.broker import topology
from waybill_worker.broker import wait as broker_wait
from waybill_worker.consume import consumer
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.prefork import EXIT_BROKEN
from waybill_worker.service import Service

PROCESSES = processes_of(built_in_registry())
NAMES = [*(process.name for process in PROCESSES), ADMINISTRATOR]
FAULTS = ("password", "no such virtual host", "closed virtual host", "permission")
#: Of the reason that is reported.
WORDS = {
    "password": "user or password are wrong",
    "no such virtual host": "the virtual host is missing",
    "closed virtual host": "the virtual host is missing",
    "permission": "the user lacks a permission",
}


@dataclass
class Place:
    """A virtual host of the test's own, which is not right yet, and its users."""

    broker: Broker
    vhost: str
    passwords: dict[str, str]

    def url(self, user: str) -> str:
        parts = urlsplit(self.broker.vhost_url(self.vhost))
        netloc = f"{user}:{self.passwords[user]}@{parts.hostname}:{parts.port}"
        return parts._replace(netloc=netloc, path=f"/{quote(self.vhost, safe='')}").geturl()

    def grant(self, fault: str | None = None) -> None:
        """Makes users and their permissions, all right but for one fault."""
        passwords = self.passwords
        if fault == "password":
            passwords = dict.fromkeys(passwords, "another")
        document = definitions(PROCESSES, passwords, self.vhost)
        if fault in {"no such virtual host", "closed virtual host"}:
            document = document | {"vhosts": [], "permissions": []}
        if fault == "permission":
            nothing = {"configure": "^$", "write": "^$", "read": "^$"}
            document["permissions"] = [each | nothing for each in document["permissions"]]
        self.broker.management.import_definitions(document)

    async def declare(self) -> None:
        url = self.broker.vhost_url(self.vhost)
        async with await aio_pika.connect(url) as connection, connection.channel() as channel:
            await topology.declare(channel, built_in_registry())

    async def correct(self) -> None:
        self.broker.management.create_vhost(self.vhost)
        await self.declare()
        self.grant()


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """Users belong to the whole broker, which is shared by all tests."""
    with one_at_a_time("broker-users"):
        yield


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_wait, "REFUSED_SECONDS", 0.1)
    monkeypatch.setattr(broker_wait, "REFUSAL_REPORT_SECONDS", 0.2)
    monkeypatch.setattr(broker_wait, "REFUSAL_GRACE_SECONDS", 2.0)
    monkeypatch.setattr(broker_wait, "RECONNECT_SECONDS", (0.05, 0.1))


@contextmanager
def place_with(broker: Broker, fault: str) -> Iterator[Place]:
    place = Place(broker, f"test-{secrets.token_hex(6)}", {name: secrets.token_hex(8) for name in NAMES})
    if fault != "no such virtual host":
        broker.management.create_vhost(place.vhost)
    place.grant(fault)
    try:
        yield place
    finally:
        for name in place.passwords:
            broker.management.delete_user(name)
        broker.management.create_vhost(place.vhost)
        broker.management.delete_vhost(place.vhost)


async def work(_event: Any, _attempt: Attempt) -> dict[str, Any]:
    return {}


@asynccontextmanager
async def starting(service: Service | StatusService) -> AsyncIterator[asyncio.Task[None]]:
    starting = asyncio.create_task(service.start())
    try:
        yield starting
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await service.stop()


async def answers(port: int) -> dict[str, int]:
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=False
    ) as client:
        return {path: (await client.get(path)).status_code for path in ("/healthz", "/startupz", "/readyz")}


async def answers_are(port: int, healthz: int, startupz: int, readyz: int) -> bool:
    return await answers(port) == {"/healthz": healthz, "/startupz": startupz, "/readyz": readyz}


def critical(lines: list[Any]) -> list[str]:
    return [line["reason"] for line in lines if line["log_level"] == "critical"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_service_says_once_that_it_is_refused_and_begins_when_that_is_corrected(
    broker: Broker, tmp_path: Path, fault: str
) -> None:
    (port,) = free_ports(1)
    with place_with(broker, fault) as place, capture_logs() as lines:
        if fault == "permission":
            await place.declare()
        settings = ServiceSettings(
            amqp_url=place.url("images"), inbox_url=f"sqlite:///{tmp_path}/inbox.db", health_port=port
        )
        service = Service("images", settings, (configured(settings, ImageUploaded, work),))
        async with starting(service) as started:
            await eventually(lambda: critical(lines))
            assert await answers_are(port, 200, 503, 503)
            await eventually(lambda: answers_are(port, 503, 503, 503))
            [reason] = critical(lines)
            assert WORDS[fault] in reason
            assert place.passwords["images"] not in repr(lines)
            await place.correct()
            await eventually(started.done)
            await started
            assert await answers_are(port, 200, 200, 200)


async def test_a_service_whose_password_was_changed_ends_so_that_the_next_reports_it(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "WATCH_SECONDS", 0.1)
    monkeypatch.setattr(consumer, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(consumer, "MISSING_SECONDS", 2.0)
    with place_with(broker, "permission") as place:
        await place.correct()
        settings = ServiceSettings(amqp_url=place.url("images"), inbox_url=f"sqlite:///{tmp_path}/inbox.db")
        service = Service("images", settings, (configured(settings, ImageUploaded, work),))
        async with starting(service) as started:
            await started
            ended = asyncio.create_task(service.wait_failed())
            place.grant("password")

            async def connections_are_closed() -> bool:
                return await asyncio.to_thread(broker.management.close_vhost_connections, place.vhost) > 0

            await eventually(connections_are_closed)
            await eventually(ended.done)
            assert await ended == EXIT_BROKEN


async def test_a_queue_of_other_arguments_is_reported_to_whom_it_concerns(
    broker: Broker, tmp_path: Path
) -> None:
    ledger_url = put_empty_ledger(tmp_path / "ledger.db")
    with broker.vhost() as vhost, capture_logs() as lines:
        url = broker.vhost_url(vhost)
        status = StatusService(StatusSettings(amqp_url=url, ledger_url=ledger_url))
        async with await aio_pika.connect(url) as connection, connection.channel() as channel:
            await channel.declare_queue("email.dlq", durable=True)
            async with starting(status) as started:
                [reason] = await eventually(lambda: critical(lines))
                assert "delete it once it is empty" in reason
                assert "email.dlq" in reason
                await channel.queue_delete("email.dlq")
                await eventually(started.done)
                await started


async def test_a_gateway_that_is_refused_accepts_and_has_not_started(broker: Broker, tmp_path: Path) -> None:
    ledger_url = put_empty_ledger(tmp_path / "ledger.db")
    with place_with(broker, "password") as place, capture_logs() as lines:
        app = create_app(
            GatewaySettings(
                amqp_url=place.url("gateway"),
                ledger_url=ledger_url,
                object_store_url=f"file://{tmp_path}/objects",
            )
        )
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client,
        ):
            await eventually(lambda: critical(lines))
            mail = {"to": "ann@example.com", "subject": "Hello", "text": "Soon."}
            assert (await client.post("/v1/emails", json=mail)).status_code == 202
            statuses = [(await client.get(f"/{path}")).status_code for path in ("startupz", "readyz")]
            assert statuses == [503, 200]
            assert len(critical(lines)) == 1
            await place.correct()

            async def has_started() -> bool:
                return (await client.get("/startupz")).status_code == 200

            await eventually(has_started)
            assert (await client.get("/readyz")).json()["broker"] is True


async def test_a_gateway_without_a_broker_has_started(tmp_path: Path) -> None:
    ledger_url = put_empty_ledger(tmp_path / "ledger.db")
    app = create_app(
        GatewaySettings(
            amqp_url="amqp://127.0.0.1:1/",
            ledger_url=ledger_url,
            object_store_url=f"file://{tmp_path}/objects",
        )
    )
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client,
    ):

        async def has_started() -> bool:
            return (await client.get("/startupz")).status_code == 200

        await eventually(has_started)
