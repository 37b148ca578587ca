"""A whole service when connections, consumers and processes end under it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pamqp import commands as spec

from waybill_contracts.kinds.images import ImageUploaded
from waybill_contracts.registry import built_in_registry
from waybill_testkit.broker import Broker
from waybill_testkit.eventually import eventually
from waybill_testkit.machine import ForkedProcess, free_ports
from waybill_testkit.proxy import Proxy
from waybill_testkit.samples import image_event
from waybill_testkit.wire import Wire
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.broker import topology
from waybill_worker.broker.connection import GOODBYE_SECONDS
from waybill_worker.consume import consumer
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.service import Service

CHILD = Path(__file__).with_name("effectful_service.py")


class SlowWork:
    """The handler: notes each run, and goes on when the test says so."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, int]] = []
        self.finish = asyncio.Event()

    async def __call__(self, _event: ImageUploaded, attempt: Attempt) -> dict[str, Any]:
        self.runs.append((attempt.task_id, attempt.attempt))
        await self.finish.wait()
        return {}


def settings_for(url: str, folder: Path, **values: Any) -> ServiceSettings:
    standard: dict[str, Any] = {"inbox_url": f"sqlite:///{folder}/inbox.db", "lease_seconds": 2}
    return ServiceSettings(amqp_url=url, **standard | values)


@asynccontextmanager
async def running(settings: ServiceSettings, work: SlowWork) -> AsyncIterator[Service]:
    service = Service("images", settings, (configured(settings, ImageUploaded, work.__call__),))
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def make_deaf(consumer: consumer.Consumer) -> None:
    """Cancels a consumer at the broker, while its client still counts on it."""
    channel: Any = consumer._channel  # noqa: SLF001 - only below the client can it be kept from it
    wire_level = channel._channel.channel  # noqa: SLF001 - not possible from outside
    # Without waiting for the answer, by which the client would notice.
    await wire_level.rpc(spec.Basic.Cancel(consumer._tag, nowait=True))  # noqa: SLF001 - not possible from outside


async def all_but_events_are_gone(broker: Broker, vhost: str) -> None:
    def settled() -> bool:
        queues = [q for q in broker.management.queues(vhost) if q.name != "status.work"]
        return all(q.ready == q.unacked == 0 for q in queues)

    await eventually(settled, seconds=60)


async def is_ready(port: int) -> bool:
    """What the service's own health says."""
    # By HTTP: to read the system's certificates each time takes longer than the question.
    async with httpx.AsyncClient(verify=False) as client:
        answer = await client.get(f"http://127.0.0.1:{port}/readyz")
    return answer.status_code == httpx.codes.OK


async def is_not_ready(port: int) -> bool:
    return not await is_ready(port)


def consumers(broker: Broker, vhost: str) -> int:
    return broker.management.queue("images.work", vhost).consumers


async def delayed(wire: Wire) -> bool:
    """Whether a copy was sent to try again later."""
    return sum([await wire.ready(f"delay.{level:02}") for level in range(3)]) > 0


async def test_a_connection_that_breaks_while_a_handler_runs_does_not_run_it_twice(
    topology_url: str, proxy: Proxy, wire: Wire, tmp_path: Path, broker: Broker, vhost: str
) -> None:
    """Pain: a broker blip makes long tasks run again (celery 6951, dramatiq 461)."""
    work = SlowWork()
    async with running(settings_for(proxy.url(topology_url), tmp_path, lease_seconds=10), work):
        envelope = await wire.request(image_event())
        await eventually(lambda: work.runs)
        proxy.cut()
        # The broker hands the message over again; the copy finds the claim held.
        await eventually(lambda: delayed(wire))
        work.finish.set()
        await wire.reported(until="task.completed")
        await all_but_events_are_gone(broker, vhost)

    assert work.runs == [(envelope.task_id, 1)]


async def test_the_broker_closes_every_connection_while_a_handler_runs(
    topology_url: str, proxy: Proxy, wire: Wire, tmp_path: Path, broker: Broker, vhost: str
) -> None:
    """Pain: see docs/pains.md.

    acknowledgements in flight crash the worker after a reconnect (taskiq-aio-pika 46, taskiq 373).
    """
    work = SlowWork()
    async with running(settings_for(proxy.url(topology_url), tmp_path, lease_seconds=10), work):
        envelope = await wire.request(image_event())
        await eventually(lambda: work.runs)
        before = proxy.connections

        async def both_are_back() -> bool:
            await asyncio.to_thread(broker.management.close_vhost_connections, vhost)
            return proxy.connections >= before + 2

        await eventually(both_are_back)
        work.finish.set()
        await all_but_events_are_gone(broker, vhost)

    assert work.runs == [(envelope.task_id, 1)]


async def test_a_service_that_is_stopped_ends_its_work_first(
    topology_url: str, wire: Wire, tmp_path: Path, broker: Broker, vhost: str
) -> None:
    """Pain: the autoscaler kills busy consumers (keda 6719)."""
    work = SlowWork()
    async with running(settings_for(topology_url, tmp_path), work) as service:
        await wire.request(image_event())
        await eventually(lambda: work.runs)
        # The broker's list is a while behind: the consumer must have been on it, to be gone from it.
        await eventually(lambda: consumers(broker, vhost) == 1)
        stopping = asyncio.create_task(service.stop())
        await eventually(lambda: consumers(broker, vhost) == 0)
        later = await wire.request(image_event())
        work.finish.set()
        await stopping
        await wire.reported(until="task.completed")

    assert len(work.runs) == 1
    waiting = await wire.take("images.work")
    assert (waiting.headers["x-task-id"], waiting.redelivered) == (later.task_id, False)
    await all_but_events_are_gone(broker, vhost)


async def test_a_stop_waits_no_longer_than_its_grace(topology_url: str, wire: Wire, tmp_path: Path) -> None:
    work = SlowWork()
    settings = settings_for(topology_url, tmp_path, grace_seconds=0.2)
    async with running(settings, work) as service:
        envelope = await wire.request(image_event())
        await eventually(lambda: work.runs)
        await service.stop()
    again = await wire.take("images.work")

    assert (again.headers["x-task-id"], again.redelivered) == (envelope.task_id, True)


async def test_a_stop_does_not_wait_for_a_broker_that_hangs(
    topology_url: str, proxy: Proxy, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    async with running(settings_for(proxy.url(topology_url), tmp_path), SlowWork()):
        proxy.stall()
        began = loop.time()

    # A goodbye for each of two consumers and two connections.
    assert loop.time() - began < 6 * GOODBYE_SECONDS


async def test_a_consumer_whose_queue_was_deleted_is_back_with_the_queue(
    topology_url: str, wire: Wire, tmp_path: Path
) -> None:
    work = SlowWork()
    work.finish.set()
    (port,) = free_ports(1)
    async with running(settings_for(topology_url, tmp_path, health_port=port), work):
        assert await is_ready(port)
        await wire.channel.queue_delete("images.work")
        # RabbitMQ 3.10 may not notify a consumer of a quorum queue that is made anew within milliseconds.
        await eventually(lambda: is_not_ready(port))
        await topology.declare(wire.channel, built_in_registry())
        await eventually(lambda: is_ready(port))
        await wire.request(image_event())
        await wire.reported(until="task.completed")


async def test_a_consumer_that_stays_away_ends_the_process(
    topology_url: str, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(consumer, "MISSING_SECONDS", 0.2)
    async with running(settings_for(topology_url, tmp_path), SlowWork()) as service:
        watching = asyncio.create_task(service.wait_failed())
        await wire.channel.queue_delete("images.work")
        await eventually(watching.done)
        await watching


async def test_a_deaf_consumer_ends_the_process(
    topology_url: str, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pain: reconnects, then consumes nothing (faststream 2758, aio-pika 688, celery 9512)."""
    monkeypatch.setattr(consumer, "CHECK_SECONDS", 0.1)
    (port,) = free_ports(1)
    async with running(settings_for(topology_url, tmp_path, health_port=port), SlowWork()) as service:
        watching = asyncio.create_task(service.wait_failed())
        await asyncio.sleep(1)
        assert not watching.done()  # nothing waits
        await make_deaf(service._consumer)  # noqa: SLF001 - not possible from outside
        assert await is_ready(port)  # the client has not noticed
        await wire.request(image_event())
        await eventually(watching.done)
        assert not await is_ready(port)


async def test_a_consumer_whose_hands_are_full_is_not_deaf(
    topology_url: str, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "CHECK_SECONDS", 0.05)
    work = SlowWork()
    async with running(settings_for(topology_url, tmp_path, prefetch=2), work) as service:
        watching = asyncio.create_task(service.wait_failed())
        for _ in range(5):
            await wire.request(image_event())
        await eventually(lambda: len(work.runs) == 2)
        done, _ = await asyncio.wait({watching}, timeout=1)
        work.finish.set()
        await eventually(lambda: len(work.runs) == 5)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    assert not done


async def test_a_consumer_that_is_well_does_not(
    topology_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(consumer, "MISSING_SECONDS", 0.3)
    async with running(settings_for(topology_url, tmp_path), SlowWork()) as service:
        watching = asyncio.create_task(service.wait_failed())
        done, _ = await asyncio.wait({watching}, timeout=1)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    assert not done


@pytest.fixture
def start(topology_url: str, tmp_path: Path) -> Iterator[Callable[[str], ForkedProcess]]:
    """Starts the service in a process of its own; what still runs at the end is killed."""
    started: list[ForkedProcess] = []
    environment = os.environ | {
        "WAYBILL_AMQP_URL": topology_url,
        "WAYBILL_INBOX_URL": f"sqlite:///{tmp_path}/inbox.db",
        "WAYBILL_LEASE_SECONDS": "2",
    }

    def start(way: str) -> ForkedProcess:
        child = ForkedProcess(CHILD, tmp_path / "effects", way, env=environment)
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.wait()


async def test_a_process_that_is_killed_in_a_handler_leaves_it_to_the_next(
    start: Callable[[str], ForkedProcess], wire: Wire, tmp_path: Path, broker: Broker, vhost: str
) -> None:
    """Pain: work that kills its process is acknowledged all the same (celery 1628, celery 5641)."""
    effects = tmp_path / "effects"
    first = start("hang")
    envelope = await wire.request(image_event())
    await eventually(lambda: effects.exists() and effects.read_text().endswith("\n"))
    first.kill()
    first.wait()
    second = start("finish")
    events = await wire.reported(until="task.completed")
    await all_but_events_are_gone(broker, vhost)
    second.send_signal(signal.SIGTERM)

    assert effects.read_text().splitlines() == [
        f"{envelope.task_id} 1 {child.pid}" for child in (first, second)
    ]
    assert [event.type.value for event in events].count("task.completed") == 1
    assert events[-1].data.result == {"by": second.pid}
    assert await asyncio.to_thread(second.wait, 30) == 0
