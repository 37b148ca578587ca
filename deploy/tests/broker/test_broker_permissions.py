"""Each process with its own broker user, on the real broker: it can do its work, and nothing beside it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import httpx
import pytest
from aio_pika.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused
from structlog.testing import capture_logs

from waybill_contracts.events import Event
from waybill_contracts.kinds.catalog import CATALOG, WORK_SERVICES
from waybill_contracts.kinds.images import ImageUploaded
from waybill_contracts.registry import (
    HandledKind,
    Manifest,
    built_in_manifests,
    built_in_registry,
    registry_of,
)
from waybill_database import open_engine
from waybill_deadletters.app import Desk
from waybill_deadletters.settings import DeskSettings
from waybill_deploy.definitions import ADMINISTRATOR, definitions
from waybill_deploy.processes import processes_of
from waybill_gateway.app import create_app
from waybill_gateway.settings import GatewaySettings
from waybill_ledger.registry import ApplyManifest, apply_manifests
from waybill_status.app import StatusService
from waybill_status.settings import StatusSettings
from waybill_testkit.broker import Broker
from waybill_testkit.empty_ledger import put_empty_ledger
from waybill_testkit.eventually import eventually
from waybill_testkit.machine.one_at_a_time import one_at_a_time
from waybill_testkit.samples import envelope_of
from waybill_testkit.wire import Wire
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.broker import topology
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.errors import PermanentError, TransientError
from waybill_worker.service import Service

#: A url for a user's name.
UrlOf = Callable[[str], str]
#: For one service to consume, on a busy machine.
START_SECONDS = 60


class ScanRequested(Event, kind="scan.requested"):
    """A page to scan."""

    page: int


#: Registered by another team, after the first start.
SCANS = Manifest(
    service="scan-desk",
    release="1",
    handles=(HandledKind(kind="scan.requested", reads=(1,), data=ScanRequested.model_json_schema()),),
)
REGISTRY = registry_of(*built_in_manifests(), SCANS)
PROCESSES = processes_of(REGISTRY)
NAMES = [process.name for process in PROCESSES]


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """Users belong to the whole broker, which is shared by all tests."""
    with one_at_a_time("broker-users"):
        yield


@pytest.fixture
def url_of(broker: Broker, vhost: str) -> Iterator[UrlOf]:
    passwords = {name: secrets.token_hex(8) for name in (*NAMES, ADMINISTRATOR)}
    broker.management.import_definitions(definitions(PROCESSES, passwords, vhost))

    def url(name: str) -> str:
        parts = urlsplit(broker.vhost_url(vhost))
        address = f"{name}:{passwords[name]}@{parts.hostname}:{parts.port}"
        return parts._replace(netloc=address).geturl()

    yield url
    for name in passwords:
        broker.management.delete_user(name)


async def work(_event: Any, attempt: Attempt) -> dict[str, Any]:
    """Fails once, so that the delay ladder is used; a task that says so fails for good."""
    if attempt.correlation_id == "fails-for-good":
        raise PermanentError("never")
    if attempt.attempt == 1:
        raise TransientError("not yet")
    return {}


async def never(_event: Any, _attempt: Attempt) -> dict[str, Any]:
    raise PermanentError("never")


@pytest.fixture
async def gateway(url_of: UrlOf, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Everything runs, each as its own user: gateway, status, and each service with `work` as its handler."""
    ledger_url = put_empty_ledger(tmp_path / "ledger.db")
    engine = open_engine(ledger_url, connections=1)
    with engine.begin() as connection:
        apply_manifests(connection, [ApplyManifest(SCANS, datetime.now(UTC), "ann")])
    engine.dispose()
    async with AsyncExitStack() as stack:
        status = StatusService(StatusSettings(amqp_url=url_of("status"), ledger_url=ledger_url))
        stack.push_async_callback(status.stop)
        await _started(status)
        for name in WORK_SERVICES:
            settings = ServiceSettings(
                amqp_url=url_of(name), inbox_url=f"sqlite:///{tmp_path}/{name}.db", retry_base_seconds=1
            )
            kinds = [kind.event for kind in CATALOG.values() if name in kind.services]
            service = Service(name, settings, tuple(configured(settings, kind, work) for kind in kinds))
            stack.push_async_callback(service.stop)
            await _started(service)
        app = create_app(
            GatewaySettings(
                amqp_url=url_of("gateway"),
                ledger_url=ledger_url,
                object_store_url=f"file://{tmp_path}/objects",
                sync_targets=("crm",),
            )
        )
        await stack.enter_async_context(app.router.lifespan_context(app))
        await eventually(lambda: app.state.resources.relay.is_connected)
        transport = httpx.ASGITransport(app)
        yield await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://gateway")
        )


async def _started(service: Service | StatusService) -> None:
    # A service waits for a broker that refuses it; a test does not.
    async with asyncio.timeout(START_SECONDS):
        await service.start()


async def state_of(gateway: httpx.AsyncClient, task_id: str, wanted: str) -> bool:
    answer = await gateway.get(f"/v1/tasks/{task_id}")
    return bool(answer.json()["state"] == wanted)


async def test_a_task_is_accepted_retried_and_completed(gateway: httpx.AsyncClient) -> None:
    user = {"id": "u1", "email": "ann@example.com", "name": "Ann"}
    task_id = (await gateway.post("/v1/users", json=user)).raise_for_status().json()["id"]
    await eventually(lambda: state_of(gateway, task_id, "completed"))
    task = (await gateway.get(f"/v1/tasks/{task_id}")).json()
    assert [subtask["attempt"] for subtask in task["subtasks"]] == [2, 2]


async def test_each_is_back_when_its_connection_was_lost(
    gateway: httpx.AsyncClient, broker: Broker, vhost: str
) -> None:
    processes = len(WORK_SERVICES) + 2

    async def all_are_closed() -> bool:
        return await asyncio.to_thread(broker.management.close_vhost_connections, vhost) > processes

    await eventually(all_are_closed)
    user = {"id": "u1", "email": "ann@example.com", "name": "Ann"}
    task_id = (await gateway.post("/v1/users", json=user)).raise_for_status().json()["id"]
    await eventually(lambda: state_of(gateway, task_id, "completed"))


async def test_a_service_waits_for_the_topology_without_any_right_to_it(
    url_of: UrlOf, tmp_path: Path, broker: Broker, vhost: str
) -> None:
    settings = ServiceSettings(amqp_url=url_of("images"), inbox_url=f"sqlite:///{tmp_path}/inbox.db")
    service = Service("images", settings, (configured(settings, ImageUploaded, work),))
    with capture_logs() as lines:
        starting = asyncio.create_task(_started(service))
        await eventually(lambda: [line for line in lines if line["event"] == "waiting for the topology"])
        async with await aio_pika.connect(broker.vhost_url(vhost)) as connection:
            await topology.declare(await connection.channel(), built_in_registry())
        await starting
    await service.stop()
    assert [line for line in lines if line["log_level"] in {"warning", "critical"}] == []


async def test_what_fails_for_good_is_dead_lettered(
    gateway: httpx.AsyncClient, broker: Broker, vhost: str
) -> None:
    record = {"target": "crm", "resource": "contacts", "id": "7", "data": {}}
    headers = {"X-Request-Id": "fails-for-good"}
    posted = await gateway.post("/v1/syncs", json=record, headers=headers)
    await eventually(lambda: state_of(gateway, posted.json()["id"], "failed"))
    await eventually(lambda: broker.management.queue("sync.dlq", vhost).ready == 1)


async def test_the_desk_takes_letters_in_and_redrives_them(
    gateway: httpx.AsyncClient, url_of: UrlOf, tmp_path: Path
) -> None:
    record = {"target": "crm", "resource": "contacts", "id": "7", "data": {}}
    await gateway.post("/v1/syncs", json=record, headers={"X-Request-Id": "fails-for-good"})

    async def letters() -> list[Any]:
        return list((await gateway.get("/v1/dead-letters?state=dead")).json()["items"])

    desk = Desk(DeskSettings(amqp_url=url_of("deadletters"), ledger_url=f"sqlite:///{tmp_path}/ledger.db"))
    try:
        await desk.start()
        [letter] = await eventually(letters)
        plan = (await gateway.post("/v1/redrives", json={"ids": [letter["id"]]})).json()
        await gateway.post(f"{plan['links']['self']}/start", json={"hash": plan["hash"]})

        async def came_back() -> bool:
            return [found["redrive_no"] for found in await letters()] == [1]

        await eventually(came_back)
    finally:
        await desk.stop()


async def test_a_task_is_cancelled_by_way_of_the_broker(gateway: httpx.AsyncClient) -> None:
    mail = {"to": "ann@example.com", "subject": "Hello", "text": "Soon."}
    posted = await gateway.post("/v1/emails", json=mail)
    task_id = posted.json()["id"]
    await eventually(lambda: state_of(gateway, task_id, "retrying"))
    assert (await gateway.post(f"/v1/tasks/{task_id}/cancel")).json()["outcome"] == "stopping"
    await eventually(lambda: state_of(gateway, task_id, "cancelled"))


async def test_a_service_of_another_team_does_its_work_and_its_letters_come_to_the_desk(
    gateway: httpx.AsyncClient, url_of: UrlOf, tmp_path: Path, vhost_url: str
) -> None:
    """Status and desk have users of the first start, which knew nothing of it."""
    settings = ServiceSettings(
        amqp_url=url_of("scan-desk"), inbox_url=f"sqlite:///{tmp_path}/scans.db", retry_base_seconds=1
    )
    service = Service("scan-desk", settings, (configured(settings, ScanRequested, never),))
    desk = Desk(DeskSettings(amqp_url=url_of("deadletters"), ledger_url=f"sqlite:///{tmp_path}/ledger.db"))
    try:
        await _started(service)
        await desk.start()
        envelope = envelope_of(ScanRequested(page=7))
        async with await aio_pika.connect(vhost_url) as connection:
            wire = Wire(await connection.channel(on_return_raises=True))
            await wire.put("tasks", envelope.kind, b'{"page": 7}', envelope.to_headers())

        async def letter_is_in() -> bool:
            found = (await gateway.get("/v1/dead-letters?state=dead")).json()["items"]
            return [(letter["service"], letter["task_id"]) for letter in found] == [
                ("scan-desk", envelope.task_id)
            ]

        await eventually(letter_is_in)
    finally:
        await desk.stop()
        await service.stop()


async def publish(channel: AbstractChannel, exchange: str, key: str) -> None:
    target = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
    await target.publish(aio_pika.Message(b"{}"), key)


async def consume(channel: AbstractChannel, queue: str) -> None:
    await (await channel.get_queue(queue, ensure=False)).get(fail=False)


async def declare(channel: AbstractChannel, queue: str) -> None:
    await channel.declare_queue(queue)


async def delete(channel: AbstractChannel, queue: str) -> None:
    await channel.queue_delete(queue)


async def bind(channel: AbstractChannel, queue: str, exchange: str) -> None:
    await (await channel.get_queue(queue, ensure=False)).bind(exchange, "#")


FORBIDDEN: list[tuple[str, Callable[..., Any], tuple[str, ...]]] = [
    ("gateway", publish, ("events", "task.completed")),
    ("gateway", publish, ("", "email.work")),
    ("gateway", publish, ("dlx", "email.dlq")),
    ("gateway", consume, ("email.work",)),
    ("gateway", consume, ("status.work",)),
    ("gateway", declare, ("mine",)),
    ("gateway", delete, ("unrouted",)),
    ("deadletters", consume, ("email.work",)),
    ("deadletters", publish, ("tasks", "email.requested")),
    ("deadletters", publish, ("events", "task.completed")),
    ("deadletters", declare, ("mine",)),
    ("deadletters", delete, ("email.dlq",)),
    ("status", declare, ("mine",)),
    ("status", declare, ("my.queue.work",)),
    ("deadletters", consume, ("scan-desk.work",)),
    ("status", publish, ("amq.topic", "x")),
]
for service in REGISTRY.services:
    other = next(name for name in REGISTRY.services if name != service)
    FORBIDDEN += [
        (service, publish, ("tasks", "email.requested")),
        (service, publish, ("cancellations", service)),
        (service, publish, ("", f"{service}.work")),
        (service, consume, (f"{other}.work",)),
        (service, consume, (f"{other}.control",)),
        (service, consume, ("status.work",)),
        (service, consume, (f"{service}.dlq",)),
        (service, declare, ("mine",)),
        (service, delete, (f"{service}.work",)),
        (service, bind, (f"{service}.work", "tasks")),
    ]


async def test_no_user_can_do_more(vhost_url: str, url_of: UrlOf) -> None:
    async with await aio_pika.connect(vhost_url) as connection:
        await topology.declare(await connection.channel(), REGISTRY)
    done = []
    for name, action, arguments in FORBIDDEN:
        async with await aio_pika.connect(url_of(name)) as connection:
            channel = await connection.channel()
            try:
                await action(channel, *arguments)
            except ChannelAccessRefused:
                continue
        done.append(f"{name} {action.__name__} {arguments}")
    assert done == []


async def test_no_user_gets_into_another_virtual_host(url_of: UrlOf, broker: Broker) -> None:
    with broker.vhost() as elsewhere:
        for name in (*NAMES, ADMINISTRATOR):
            url = urlsplit(url_of(name))._replace(path=f"/{elsewhere}").geturl()
            with pytest.raises(aio_pika.exceptions.AMQPError, match=r"Connection\.Close"):
                await aio_pika.connect(url)
