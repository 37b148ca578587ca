"""What differs from one RabbitMQ to the next, with a whole service: run with 3.10, 4.0 and the newest 4."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import pytest
from aio_pika import DeliveryMode, Message

from waybill_contracts.kinds.images import ImageUploaded
from waybill_testkit.broker import Broker
from waybill_testkit.eventually import eventually
from waybill_testkit.proxy import Proxy
from waybill_testkit.samples import envelope_of, image_event
from waybill_testkit.wire import Wire
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.broker.topology import WORK_DELIVERY_LIMIT
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.service import Service

#: What the gateway sends with `"priority": "high"`; normal work has none.
HIGH = 9
#: Until 4.2 the broker looks once a minute whether a consumer's time is up.
TIMED_OUT_SECONDS = 90


class HeldWork:
    """The handler: notes each run; the first one ends when the test says so."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.finish = asyncio.Event()

    async def __call__(self, _event: ImageUploaded, attempt: Attempt) -> dict[str, Any]:
        self.runs.append(attempt.task_id)
        if len(self.runs) == 1:
            await self.finish.wait()
        return {}


@asynccontextmanager
async def running(url: str, folder: Path, work: HeldWork, **values: Any) -> AsyncIterator[Service]:
    settings = ServiceSettings(
        amqp_url=url, inbox_url=f"sqlite:///{folder}/inbox.db", **{"lease_seconds": 2} | values
    )
    service = Service("images", settings, (configured(settings, ImageUploaded, work.__call__),))
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def test_a_consumer_whose_time_ran_out_is_back_and_runs_nothing_twice(
    topology_url: str, proxy: Proxy, wire: Wire, tmp_path: Path, broker: Broker, vhost: str
) -> None:
    """Pain: a consumer that the broker cancels for its time-out is gone (aiormq 187, aiormq 116)."""
    if broker.management.version() < (4, 0):
        pytest.skip("knows no time-out by policy; the channel is closed, as by 4.0")
    broker.management.set_policy(vhost, "images.work", {"consumer-timeout": 1000})
    work = HeldWork()
    async with running(proxy.url(topology_url), tmp_path, work):
        connections = proxy.connections
        first = await wire.request(image_event())
        await eventually(lambda: work.runs)

        async def delivered_again() -> bool:
            return sum([await wire.ready(f"delay.{level:02}") for level in range(3)]) > 0

        await eventually(delivered_again, seconds=TIMED_OUT_SECONDS)
        second = await wire.request(image_event())
        await eventually(lambda: len(work.runs) > 1)
        work.finish.set()

        def all_is_done() -> bool:
            queues = [queue for queue in broker.management.queues(vhost) if queue.name != "status.work"]
            return all(queue.ready == queue.unacked == 0 for queue in queues)

        await eventually(all_is_done)

    assert work.runs == [first.task_id, second.task_id]
    assert proxy.connections == connections
    assert broker.management.queue("images.dlq", vhost).ready == 0


async def test_high_work_overtakes_as_far_as_this_version_lets_it(
    topology_url: str, wire: Wire, tmp_path: Path, broker: Broker
) -> None:
    work = HeldWork()
    async with running(topology_url, tmp_path, work, prefetch=1, lease_seconds=30):
        await wire.request(image_event())
        await eventually(lambda: work.runs)
        normal = [await send(wire, None) for _ in range(6)]
        high = [await send(wire, HIGH) for _ in range(6)]

        async def all_wait() -> bool:
            return await wire.ready("images.work") == len(normal) + len(high)

        await eventually(all_wait)
        work.finish.set()
        await eventually(lambda: len(work.runs) == 1 + len(normal) + len(high))

    order = ["high" if task_id in high else "normal" for task_id in work.runs[1:]]
    version = broker.management.version()
    if version < (4, 0):  # priorities are ignored
        assert order == ["normal"] * 6 + ["high"] * 6
    elif version < (4, 3):  # two high for each normal: nothing starves
        while_both_wait = "".join(order[: len(order) - order[::-1].index("high")])
        assert "normalnormal" not in while_both_wait
        assert "highhighhigh" not in while_both_wait
        assert order[-3:] == ["normal"] * 3
    else:  # strictly
        assert order == ["high"] * 6 + ["normal"] * 6


async def send(wire: Wire, priority: int | None) -> str:
    """Publishes a task of that priority, as the gateway would; its id."""
    event = image_event()
    envelope = envelope_of(event)
    message = Message(
        event.model_dump_json(exclude_defaults=True).encode(),
        headers=envelope.to_headers(),
        message_id=uuid4().hex,
        priority=priority,
        delivery_mode=DeliveryMode.PERSISTENT,
    )
    tasks = await wire.channel.get_exchange("tasks", ensure=False)
    await tasks.publish(message, event.KIND)
    return envelope.task_id


@pytest.mark.parametrize("lost", ["channel", "connection"])
async def test_what_kills_its_consumer_again_and_again_is_dead_after_as_many_returns_on_each_version(
    topology_url: str, wire: Wire, lost: str
) -> None:
    await wire.request(image_event())
    deliveries = 0
    connection = await aio_pika.connect(topology_url)
    while await wire.ready("images.dlq") == 0:
        channel = await connection.channel()
        queue = await channel.get_queue("images.work", ensure=False)
        if await queue.get(fail=False) is None:
            continue
        deliveries += 1
        if lost == "channel":
            await channel.close()
        else:
            await connection.close()
            connection = await aio_pika.connect(topology_url)
    await connection.close()

    assert deliveries == WORK_DELIVERY_LIMIT + 1


async def test_what_cannot_be_dealt_with_is_rejected_into_the_dead_letter_queue_at_once(
    topology_url: str, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def defect(*_: object) -> None:
        raise LookupError("a defect")

    async with running(topology_url, tmp_path, HeldWork()) as service:
        monkeypatch.setattr(service._consumer, "_consume", defect)  # noqa: SLF001 - a defect past all others
        await wire.request(image_event())
        await wire.take("images.dlq")
