"""Whole services with attempts that may take longer than the broker lets a message be held."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from waybill_contracts.wire.envelope import Envelope
from waybill_contracts.wire.lifecycle import LIFECYCLE_BATCH, LifecycleEvent
from waybill_testkit.broker import Broker
from waybill_testkit.eventually import eventually
from waybill_testkit.machine import ForkedProcess
from waybill_testkit.proxy import Proxy
from waybill_testkit.samples import image_event
from waybill_testkit.wire import Wire

CHILD = Path(__file__).with_name("effectful_service.py")
LEASE_MICROSECONDS = 2_000_000
Start = Callable[..., ForkedProcess]


@pytest.fixture
def start(topology_url: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a replica of the service, which may take two hours; what still runs at the end is killed."""
    started: list[ForkedProcess] = []

    def start(way: str, url: str = topology_url) -> ForkedProcess:
        environment = os.environ | {
            "WAYBILL_AMQP_URL": url,
            "WAYBILL_INBOX_URL": f"sqlite:///{tmp_path}/inbox.db",
            "WAYBILL_LEASE_SECONDS": "2",
            "WAYBILL_SOFT_LIMIT_SECONDS": "7000",
            "WAYBILL_HARD_LIMIT_SECONDS": "7200",
            "WAYBILL_GRACE_SECONDS": "0.5",
        }
        child = ForkedProcess(CHILD, tmp_path / "effects", way, env=environment)
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.wait()


def effects(tmp_path: Path) -> list[str]:
    file = tmp_path / "effects"
    return [line for line in file.read_text().splitlines() if line] if file.exists() else []


def kept(tmp_path: Path) -> int:
    with sqlite3.connect(tmp_path / "inbox.db") as inbox:
        number: int = inbox.execute("SELECT count(*) FROM kept_messages").fetchone()[0]
    return number


def lease_until(tmp_path: Path) -> int:
    with sqlite3.connect(tmp_path / "inbox.db") as inbox:
        until: int = inbox.execute("SELECT max(lease_until) FROM inbox").fetchone()[0]
    return until


async def begun(wire: Wire, broker: Broker, vhost: str, tmp_path: Path) -> Envelope:
    """A task whose attempt runs, and whose message the broker has no more."""
    envelope = await wire.request(image_event())
    await eventually(lambda: effects(tmp_path), seconds=60)
    await eventually(lambda: is_empty(broker, vhost), seconds=60)
    assert kept(tmp_path) == 1
    return envelope


def is_empty(broker: Broker, vhost: str) -> bool:
    queues = [queue for queue in broker.management.queues(vhost) if queue.name != "status.work"]
    return all(queue.ready == queue.unacked == 0 for queue in queues)


async def until_done(wire: Wire) -> list[LifecycleEvent]:
    """Every event until the task is completed, each once."""
    events: dict[str, LifecycleEvent] = {}
    while not any(event.type == "task.completed" for event in events.values()):
        for event in LIFECYCLE_BATCH.validate_json((await wire.take("status.work")).body):
            events.setdefault(event.id, event)
    return list(events.values())


async def test_a_process_killed_after_the_early_acknowledgement_leaves_it_to_the_next(
    start: Start, wire: Wire, broker: Broker, vhost: str, tmp_path: Path
) -> None:
    first = start("hang")
    envelope = await begun(wire, broker, vhost, tmp_path)
    first.kill()
    first.wait()
    second = start("finish")
    events = await until_done(wire)
    await eventually(lambda: kept(tmp_path) == 0)

    assert [(e.type.value, e.data.attempt) for e in events] == [("task.started", 1), ("task.completed", 1)]
    assert [line.rsplit(" ", 1)[0] for line in effects(tmp_path)] == [f"{envelope.task_id} 1"] * 2
    assert await wire.ready("images.dlq") == 0
    second.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(second.wait, 60) == 0


async def test_the_other_replica_goes_on_when_one_is_killed(
    start: Start, wire: Wire, broker: Broker, vhost: str, tmp_path: Path
) -> None:
    first = start("hang")
    envelope = await begun(wire, broker, vhost, tmp_path)
    second = start("finish")
    # While the first one lives, the other leaves it alone, for many leases.
    began = lease_until(tmp_path)
    await eventually(lambda: lease_until(tmp_path) > began + 4 * LEASE_MICROSECONDS, seconds=60)
    assert len(effects(tmp_path)) == 1
    first.kill()
    first.wait()
    events = await until_done(wire)
    await eventually(lambda: kept(tmp_path) == 0)

    assert second.poll() is None
    assert [(e.type.value, e.data.attempt) for e in events] == [("task.started", 1), ("task.completed", 1)]
    assert [line.rsplit(" ", 1)[0] for line in effects(tmp_path)] == [f"{envelope.task_id} 1"] * 2


async def test_a_replica_that_stops_hands_it_over(
    start: Start, wire: Wire, broker: Broker, vhost: str, tmp_path: Path
) -> None:
    first = start("hang")
    await begun(wire, broker, vhost, tmp_path)
    start("finish")
    first.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(first.wait, 60) == 0
    events = await until_done(wire)
    await eventually(lambda: kept(tmp_path) == 0)

    assert events[-1].data.attempt == 1


async def test_a_broker_that_is_away_does_not_disturb_it(
    start: Start, topology_url: str, proxy: Proxy, wire: Wire, broker: Broker, vhost: str, tmp_path: Path
) -> None:
    # It ends when its file says so, while the broker is away.
    start("wait", proxy.url(topology_url))
    envelope = await begun(wire, broker, vhost, tmp_path)
    proxy.cut(refuse=True)
    (tmp_path / "effects.end").touch()
    await eventually(lambda: len(effects(tmp_path)) == 2)
    assert kept(tmp_path) == 1
    proxy.resume()
    events = await until_done(wire)
    await eventually(lambda: kept(tmp_path) == 0)

    assert [(e.type.value, e.data.attempt) for e in events] == [("task.started", 1), ("task.completed", 1)]
    assert {line.split()[0] for line in effects(tmp_path)} == {envelope.task_id}
