"""A service in several processes behind one parent, on the real broker."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from waybill_testkit.eventually import eventually
from waybill_testkit.exposition import values
from waybill_testkit.machine import ForkedProcess, free_ports
from waybill_testkit.samples import image_event
from waybill_testkit.wire import Wire

CHILD = Path(__file__).with_name("effectful_service.py")
COUNT = 2
TASKS = 60


@pytest.fixture
async def service(
    topology_url: str, tmp_path: Path
) -> AsyncIterator[tuple[ForkedProcess, httpx.AsyncClient]]:
    (port,) = free_ports(1)
    environment = os.environ | {
        "WAYBILL_AMQP_URL": topology_url,
        "WAYBILL_INBOX_URL": f"sqlite:///{tmp_path}/inbox.db",
        "WAYBILL_LEASE_SECONDS": "2",
        "WAYBILL_PREFETCH": "4",
        "WAYBILL_PROCESSES": str(COUNT),
        "WAYBILL_HEALTH_PORT": str(port),
    }
    process = ForkedProcess(CHILD, tmp_path / "effects", "finish", env=environment, log=tmp_path / "log")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield process, client
    process.kill()
    process.wait()


async def ready(client: httpx.AsyncClient) -> bool:
    try:
        answer = await client.get("/readyz", headers={"Connection": "close"})
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and answer.json()["ready"] == COUNT


def runs(effects: Path) -> list[tuple[str, int]]:
    """The task of each run, and the process."""
    lines = effects.read_text().splitlines() if effects.exists() else []
    return [(line.split()[0], int(line.split()[2])) for line in lines]


async def test_one_that_is_killed_under_load_is_back_and_every_task_is_done(
    service: tuple[ForkedProcess, httpx.AsyncClient], wire: Wire, tmp_path: Path
) -> None:
    process, client = service
    effects = tmp_path / "effects"
    await eventually(lambda: ready(client))
    sent = {(await wire.request(image_event())).task_id for _ in range(TASKS)}
    await eventually(lambda: len({pid for _, pid in runs(effects)}) == COUNT)
    victim = runs(effects)[0][1]
    os.kill(victim, signal.SIGKILL)
    done: Counter[str] = Counter()
    while len(done) < TASKS:
        done.update(
            each.data.task_id
            for each in await wire.reported(until="task.completed")
            if each.type == "task.completed"
        )
    await eventually(lambda: ready(client))
    metrics = (await client.get("/metrics")).text
    process.terminate()
    code = await asyncio.to_thread(process.wait, 60)

    assert set(done) == sent
    assert len({pid for _, pid in runs(effects)}) == COUNT + 1
    twice = [task for task, times in Counter(task for task, _ in runs(effects)).items() if times > 1]
    assert len(twice) <= 4  # those that the killed one had under way
    completed = values(metrics, "waybill_attempts_total")["image.uploaded", "completed", "images"]
    assert TASKS - 4 <= completed <= TASKS
    assert values(metrics, "waybill_messages_in_work")[("images",)] == 0
    assert code == 0
