"""Services that are registered while the status service runs: their queues, and from when on they count."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika import RobustChannel
from sqlalchemy import Connection, update

from waybill_contracts.privacy import NO_KEYS
from waybill_contracts.registry import HandledKind, Manifest, Registry, built_in_registry
from waybill_contracts.wire import HEADER_TASK_ID
from waybill_database import Records
from waybill_ledger import LOW_PRIORITY, NewTask, Submission, accept, new_task_id
from waybill_ledger.registry import (
    ApplyManifest,
    RetireService,
    WorkLeft,
    apply_manifests,
    load_registry,
    retire_services,
)
from waybill_ledger.schema import OUTBOX
from waybill_status.app import StatusService
from waybill_status.settings import StatusSettings
from waybill_status.upkeep import declarer
from waybill_testkit.eventually import eventually
from waybill_testkit.machine import ForkedProcess
from waybill_testkit.proxy import Proxy
from waybill_testkit.wire import Wire
from waybill_worker.broker import topology

INVOICE = "invoice.requested"
IMAGE = "image.uploaded"
LONG_AGO = datetime.now(UTC) - timedelta(minutes=1)
#: The status service, which dies as a kill -9 makes it die, at one step of the declarer.
DIES_AT = """
import os, signal
from waybill_status.upkeep import declarer
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
{patch}
from waybill_status.app import make_service
from waybill_status.settings import StatusSettings
from waybill_worker.runtime import start
start("status", StatusSettings, make_service)
"""
#: Before the first queue of what is committed; after the last queue, and before that is confirmed.
DEATHS = {
    "before it declares": "declarer.Declarer._refusal = die",
    "before it confirms": "declarer.confirm_declared = die",
}


def manifest(service: str, *kinds: str) -> Manifest:
    data = {"type": "object", "properties": {"order_id": {"type": "string"}}}
    handled = (HandledKind(kind=kind, reads=(1,), data=data) for kind in kinds)
    return Manifest(service=service, release="1", handles=tuple(handled))


def also_handles_images(service: str) -> Manifest:
    """A service of another team that does its own work with each image."""
    images = built_in_registry().services["images"].manifest
    (handled,) = (each for each in images.handles if each.kind == IMAGE)
    return Manifest(service=service, release="1", handles=(handled,))


async def registered(records: Records, *manifests: Manifest) -> None:
    now = datetime.now(UTC)
    for stated in manifests:
        application = await records.write(apply_manifests, ApplyManifest(stated, now, "ann"))
        assert application.refusals == ()


async def registry_of(records: Records) -> Registry:
    return await records.read(load_registry)


async def all_is_declared(records: Records) -> bool:
    return not list((await registry_of(records)).undeclared)


async def accepted(records: Records, kind: str, **fields: Any) -> NewTask:
    """A task that a gateway accepts and then dies, so that the status service publishes it."""
    task_id = new_task_id()
    standard: dict[str, Any] = {"created_at": LONG_AGO, "correlation_id": task_id, "about": ""}
    known = (await registry_of(records)).kind(kind)
    task = NewTask.of(known, {"order_id": "7"}, NO_KEYS, id=task_id, **standard | fields)
    await records.write(accept, Submission(task))
    return task


def make_due(connection: Connection, task_ids: Sequence[str]) -> Sequence[None]:
    """As if their time had come."""
    connection.execute(update(OUTBOX).where(OUTBOX.c.task_id.in_(task_ids)).values(available_at=LONG_AGO))
    return [None for _ in task_ids]


async def taken(wire: Wire, queue: str, count: int) -> list[str]:
    """Ids of the tasks whose messages wait there."""
    return sorted([str((await wire.take(queue)).headers[HEADER_TASK_ID]) for _ in range(count)])


def ids(*tasks: NewTask) -> list[str]:
    return sorted(task.id for task in tasks)


@asynccontextmanager
async def running(url: str, ledger_url: str) -> AsyncIterator[StatusService]:
    service = StatusService(StatusSettings(amqp_url=url, ledger_url=ledger_url))
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def holds(wire: Wire, **bodies: list[bytes]) -> None:
    """Each work queue has exactly these messages."""
    for service, expected in bodies.items():
        taken = [(await wire.take(f"{service}.work")).body for _ in expected]
        assert (taken, await wire.ready(f"{service}.work")) == (expected, 0)


async def test_a_service_gets_its_queues_while_others_work(
    topology_url: str, ledger_url: str, wire: Wire, records: Records
) -> None:
    async with running(topology_url, ledger_url):
        await eventually(partial(all_is_declared, records))
        await registered(records, manifest("invoices", INVOICE))
        await eventually(partial(all_is_declared, records))

        await wire.put("tasks", INVOICE, b"work", {})
        await wire.put("cancellations", "invoices", b"cancel", {})
        await wire.put("dlx", "invoices.dlq", b"dead", {})
        await wire.put("delay.out", "0.invoices.work", b"again", {})
        await holds(wire, invoices=[b"work", b"again"])
        assert (await wire.take("invoices.control")).body == b"cancel"
        assert (await wire.take("invoices.dlq")).body == b"dead"
        assert (await registry_of(records)).kind(INVOICE).services == ("invoices",)


async def test_a_second_service_gets_only_tasks_that_are_accepted_after_it(
    topology_url: str, ledger_url: str, wire: Wire, records: Records
) -> None:
    async with running(topology_url, ledger_url):
        await registered(records, manifest("invoices", INVOICE))
        await eventually(partial(all_is_declared, records))
        early = await accepted(records, INVOICE)
        scheduled = await accepted(records, INVOICE, due_at=datetime.now(UTC) + timedelta(hours=1))
        held = await accepted(records, INVOICE, priority=LOW_PRIORITY)

        await registered(records, manifest("archive", INVOICE))
        await eventually(partial(all_is_declared, records))
        late = await accepted(records, INVOICE)
        late_held = await accepted(records, INVOICE, priority=LOW_PRIORITY)
        await records.write(make_due, scheduled.id)

        assert await taken(wire, "invoices.work", 5) == ids(early, scheduled, held, late, late_held)
        assert await taken(wire, "archive.work", 2) == ids(late, late_held)
        assert [await wire.ready(f"{service}.work") for service in ("invoices", "archive")] == [0, 0]
    assert (scheduled.services, late.services) == (("invoices",), ("archive", "invoices"))


async def test_a_second_service_gets_what_comes_by_the_new_route_and_only_that(
    topology_url: str, ledger_url: str, wire: Wire, records: Records
) -> None:
    async with running(topology_url, ledger_url):
        await eventually(partial(all_is_declared, records))
        before = (await registry_of(records)).kind(IMAGE).route
        await registered(records, also_handles_images("thumbs"))
        assert (await registry_of(records)).kind(IMAGE).route == before
        await eventually(partial(all_is_declared, records))
        after = (await registry_of(records)).kind(IMAGE).route

        # As of a task that was accepted before, and is due only now.
        await wire.put("tasks", before.routing_key, b"old", {})
        await wire.put("tasks", after.routing_key, b"new", {})
        await holds(wire, images=[b"old", b"new"], thumbs=[b"new"])
    assert after.services == ("images", "thumbs")


async def test_a_retired_service_keeps_what_was_on_its_way(
    topology_url: str, ledger_url: str, wire: Wire, records: Records
) -> None:
    async with running(topology_url, ledger_url):
        await registered(records, manifest("invoices", INVOICE), also_handles_images("thumbs"))
        await eventually(partial(all_is_declared, records))
        key = (await registry_of(records)).kind(IMAGE).route.routing_key
        now = datetime.now(UTC)
        for service in ("invoices", "thumbs"):
            retired = await records.write(retire_services, RetireService(service, now, "ann"))
            assert not isinstance(retired, WorkLeft | Exception)
        await eventually(partial(all_is_declared, records))

        registry = await registry_of(records)
        assert registry.kind(INVOICE).services == ()
        # By a copy of the registry that was a moment older.
        await wire.put("tasks", INVOICE, b"late", {})
        await wire.put("tasks", key, b"late", {})
        await wire.put("tasks", registry.kind(IMAGE).route.routing_key, b"new", {})
        await holds(wire, invoices=[b"late"], thumbs=[b"late"], images=[b"late", b"new"])


async def test_a_broker_that_is_away_leaves_the_old_route_in_use(
    topology_url: str,
    ledger_url: str,
    proxy: Proxy,
    wire: Wire,
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []
    parts = topology.parts

    def noticing(registry: Registry) -> Iterator[topology.Part]:
        tried.extend(registry.services)
        return parts(registry)

    monkeypatch.setattr(topology, "parts", noticing)
    async with running(proxy.url(topology_url), ledger_url):
        await eventually(partial(all_is_declared, records))
        proxy.cut(refuse=True)
        await registered(records, also_handles_images("thumbs"))
        await eventually(lambda: "thumbs" in tried)
        route = (await registry_of(records)).kind(IMAGE).route
        assert (route.generation, route.services) == (1, ("images",))
        proxy.resume()
        await eventually(partial(all_is_declared, records))
    await wire.put("tasks", f"{IMAGE}#2", b"new", {})
    await holds(wire, images=[b"new"], thumbs=[b"new"])


@pytest.mark.parametrize("patch", DEATHS.values(), ids=DEATHS)
async def test_it_is_killed_and_the_next_one_goes_on(
    topology_url: str, ledger_url: str, wire: Wire, records: Records, tmp_path: Path, patch: str
) -> None:
    async with running(topology_url, ledger_url):
        await eventually(partial(all_is_declared, records))
    await registered(records, also_handles_images("thumbs"))
    environment = os.environ | {"WAYBILL_AMQP_URL": topology_url, "WAYBILL_LEDGER_URL": ledger_url}
    program, log = tmp_path / "dies.py", tmp_path / "dies.log"
    program.write_text(DIES_AT.format(patch=patch))
    dying = ForkedProcess(program, env=environment, log=log)
    assert await asyncio.to_thread(dying.wait, 120) == -signal.SIGKILL, log.read_text()

    # Whatever the broker has by now: nobody relies on it.
    assert (await registry_of(records)).kind(IMAGE).route.generation == 1
    async with running(topology_url, ledger_url), running(topology_url, ledger_url):
        await eventually(partial(all_is_declared, records))
    await wire.put("tasks", f"{IMAGE}#2", b"new", {})
    await holds(wire, images=[b"new"], thumbs=[b"new"])


async def test_what_the_broker_refuses_of_one_service_holds_up_no_other(
    topology_url: str, ledger_url: str, wire: Wire, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(declarer, "REFUSED_SECONDS", 0.2)
    await wire.channel.declare_queue("invoices.work", durable=True)
    async with running(topology_url, ledger_url):
        await registered(records, manifest("invoices", INVOICE), also_handles_images("thumbs"))

        async def is_declared(kind: str) -> bool:
            return all(route.is_declared for route in (await registry_of(records)).kind(kind).routes)

        await eventually(partial(is_declared, IMAGE))
        assert not await is_declared(INVOICE)
        await wire.channel.queue_delete("invoices.work")
        await eventually(partial(is_declared, INVOICE))
    await wire.put("tasks", INVOICE, b"work", {})
    await holds(wire, invoices=[b"work"])


async def test_only_what_is_new_is_declared(
    topology_url: str, ledger_url: str, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    declare_queue: Any = RobustChannel.declare_queue

    async def counting(channel: RobustChannel, name: str | None = None, **values: Any) -> Any:
        if not values.get("passive"):
            asked.append(name)
        return await declare_queue(channel, name, **values)

    await registered(records, *(manifest(f"team{n}", f"team{n}.asked") for n in range(10)))
    async with running(topology_url, ledger_url):
        await eventually(partial(all_is_declared, records))
        monkeypatch.setattr(RobustChannel, "declare_queue", counting)
        await registered(records, manifest("invoices", INVOICE))
        await eventually(partial(all_is_declared, records))
    assert set(asked) == {"invoices.dlq", "invoices.control", "invoices.work"}


async def test_what_was_registered_meanwhile_is_declared_again_after_a_reconnect(
    topology_url: str, ledger_url: str, proxy: Proxy, wire: Wire, records: Records
) -> None:
    async with running(proxy.url(topology_url), ledger_url):
        await registered(records, manifest("invoices", INVOICE))
        await eventually(partial(all_is_declared, records))
        proxy.cut(refuse=True)
        await wire.channel.queue_delete("invoices.work")
        proxy.resume()

        async def comes() -> bool:
            try:
                await wire.put("tasks", INVOICE, b"work", {})
            except aio_pika.exceptions.DeliveryError:
                return False
            return True

        await eventually(comes)
    assert (await wire.take("invoices.work")).body == b"work"
