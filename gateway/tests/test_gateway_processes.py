"""`python -m waybill_gateway --processes 3`: one address, and each speaks for all."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from registry_under_test import INVOICES, KIND, manifest
from sqlalchemy import func, select

from waybill_database import open_engine
from waybill_ledger.schema import TASKS
from waybill_testkit.empty_ledger import put_empty_ledger
from waybill_testkit.eventually import eventually
from waybill_testkit.exposition import values
from waybill_testkit.gateway.in_process import EMAIL, NO_BROKER
from waybill_testkit.machine import ForkedProcess, free_ports

COUNT = 3
#: Each request on a connection of its own, so that any process may answer it.
ALONE = {"Connection": "close"}


class Gateways:
    """The processes of one gateway, and a caller."""

    def __init__(self, folder: Path, client: httpx.AsyncClient, process: ForkedProcess) -> None:
        self.folder, self.client, self.process = folder, client, process

    async def ready(self) -> dict[str, Any]:
        """What /readyz says, once it is 200."""

        async def asked() -> dict[str, Any] | None:
            try:
                answer = await self.client.get("/readyz", headers=ALONE)
            except httpx.ConnectError:  # nothing listens yet
                return None
            found: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
            return found

        return await eventually(asked)

    async def pids(self) -> set[int]:
        """The processes that answer."""
        found: set[int] = set()

        async def all_have_answered() -> bool:
            found.add((await self.client.get("/readyz", headers=ALONE)).json()["pid"])
            return len(found) == COUNT

        await eventually(all_have_answered)
        return found

    def tasks(self) -> int:
        """How many tasks the ledger has."""
        engine = open_engine(f"sqlite:///{self.folder}/ledger.db", connections=1)
        try:
            with engine.begin() as connection:
                return int(connection.execute(select(func.count()).select_from(TASKS)).scalar_one())
        finally:
            engine.dispose()

    async def counted(self) -> float:
        """How many accepted tasks the metrics have."""
        text = (await self.client.get("/metrics", headers=ALONE)).text
        return sum(values(text, "waybill_tasks_accepted_total").values())


@pytest.fixture
async def gateways(tmp_path: Path) -> AsyncIterator[Gateways]:
    put_empty_ledger(tmp_path / "ledger.db")
    (port,) = free_ports(1)
    environment = os.environ | {
        "WAYBILL_LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db",
        "WAYBILL_OBJECT_STORE_URL": f"file://{tmp_path}/objects",
        "WAYBILL_AMQP_URL": NO_BROKER,
        "WAYBILL_PORT": str(port),
        "WAYBILL_DRAIN_SECONDS": "0.5",
    }
    process = ForkedProcess(
        "waybill_gateway", "--processes", str(COUNT), env=environment, log=tmp_path / "log"
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        try:
            yield Gateways(tmp_path, client, process)
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 60)


async def test_all_answer_on_one_address_and_each_speaks_for_all(gateways: Gateways) -> None:
    ready = await gateways.ready()
    pids = await gateways.pids()
    posted = [await gateways.client.post("/v1/emails", json=EMAIL, headers=ALONE) for _ in range(12)]
    metrics = (await gateways.client.get("/metrics", headers=ALONE)).text

    assert ready | {"pid": 0} == {
        "status": "ready",
        "pid": 0,
        "ledger": True,
        "broker": False,
        "processes": COUNT,
        "ready": COUNT,
    }
    assert gateways.process.pid not in pids
    assert {answer.status_code for answer in posted} == {202}
    assert await gateways.counted() == 12
    (requests,) = (
        count
        for labels, count in values(metrics, "waybill_http_request_seconds_count").items()
        if labels == ("POST", "/v1/emails", "202")
    )
    assert requests == 12
    assert "pid=" not in metrics
    assert values(metrics, "process_open_fds")[()] > 2 * COUNT
    for path, word in (("/healthz", "alive"), ("/startupz", "started")):
        answer = await gateways.client.get(path, headers=ALONE)
        assert (answer.status_code, answer.json()["status"]) == (200, word)


async def test_one_that_is_killed_under_load_is_back_and_nothing_accepted_is_lost(gateways: Gateways) -> None:
    await gateways.ready()
    victim = min(await gateways.pids())
    accepted = 0
    ended = asyncio.Event()

    async def post_on() -> None:
        nonlocal accepted
        while not ended.is_set():
            try:
                answer = await gateways.client.post("/v1/emails", json=EMAIL, headers=ALONE)
            except httpx.TransportError:  # the caller of a killed process has no answer, and repeats its call
                continue
            assert answer.status_code == 202
            accepted += 1

    posting = [asyncio.create_task(post_on()) for _ in range(8)]
    await eventually(lambda: accepted > 20)
    os.kill(victim, signal.SIGKILL)
    unready = await eventually(lambda: gateways.client.get("/readyz", headers=ALONE))
    before = accepted
    ready = await gateways.ready()
    await eventually(lambda: accepted > before + 20)
    ended.set()
    await asyncio.gather(*posting)
    pids = await gateways.pids()

    assert (unready.status_code, unready.json()["ready"]) == (503, COUNT - 1)
    assert ready["ready"] == COUNT
    assert victim not in pids
    assert gateways.tasks() >= accepted
    # What the killed one had counted is still in the sum.
    assert accepted <= await gateways.counted() <= gateways.tasks()


async def test_one_that_is_stuck_is_neither_ready_nor_alive(gateways: Gateways) -> None:
    await gateways.ready()
    stuck = min(await gateways.pids())
    os.kill(stuck, signal.SIGSTOP)
    try:
        alive = await _of_another(gateways, "/healthz")
        started = await _of_another(gateways, "/startupz")
    finally:
        os.kill(stuck, signal.SIGCONT)
    again = await gateways.ready()

    assert (alive.status_code, alive.json()["status"]) == (503, "stuck")
    assert started.status_code == 200
    assert again["ready"] == COUNT


async def _of_another(gateways: Gateways, path: str) -> httpx.Response:
    """An answer of a process that is not stuck, which a connection may reach too."""

    async def asked() -> httpx.Response | None:
        try:
            return await gateways.client.get(path, headers=ALONE, timeout=5)
        except httpx.TimeoutException:
            return None

    return await eventually(asked)


async def test_a_signal_drains_all_and_then_the_address_is_closed(gateways: Gateways) -> None:
    await gateways.ready()
    gateways.process.terminate()
    words: list[str] = []
    try:
        while True:
            words.append((await gateways.client.get("/readyz", headers=ALONE)).json()["status"])
    except httpx.TransportError:  # the last of all connections may be reset
        with pytest.raises(httpx.ConnectError):
            await gateways.client.get("/readyz", headers=ALONE)
    code = await asyncio.to_thread(gateways.process.wait, 60)

    assert code == 0
    assert words[-3:] == ["stopping"] * 3


async def test_the_processes_end_with_a_parent_that_is_killed(gateways: Gateways) -> None:
    await gateways.ready()
    gateways.process.kill()

    async def address_is_free() -> bool:
        try:
            socket.create_server(("127.0.0.1", gateways.client.base_url.port or 0)).close()
        except OSError:
            return False
        return True

    await eventually(address_is_free)


async def test_what_one_was_told_all_know(gateways: Gateways) -> None:
    await gateways.ready()
    await gateways.pids()
    put = await gateways.client.put(INVOICES, json=manifest(), headers=ALONE)
    task = {"kind": KIND, "data": {"order_id": "17"}}
    posted = [await gateways.client.post("/v1/tasks", json=task, headers=ALONE) for _ in range(12)]

    assert put.status_code == 201
    assert {answer.status_code for answer in posted} == {202}


async def test_a_port_that_is_taken_is_told_by_the_parent(tmp_path: Path) -> None:
    put_empty_ledger(tmp_path / "ledger.db")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environment = os.environ | {
            "WAYBILL_LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db",
            "WAYBILL_AMQP_URL": NO_BROKER,
            "WAYBILL_OBJECT_STORE_URL": f"file://{tmp_path}/objects",
            "WAYBILL_PORT": str(taken.getsockname()[1]),
            "WAYBILL_PROCESSES": "2",
        }
        process = ForkedProcess("waybill_gateway", env=environment, log=tmp_path / "log")
        code = await asyncio.to_thread(process.wait, 60)

    assert code == 70
    assert "the address cannot be used" in (tmp_path / "log").read_text()


async def test_a_ledger_without_a_schema_ends_all_with_78(tmp_path: Path) -> None:
    environment = os.environ | {
        "WAYBILL_LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db",
        "WAYBILL_AMQP_URL": NO_BROKER,
        "WAYBILL_OBJECT_STORE_URL": f"file://{tmp_path}/objects",
        "WAYBILL_PORT": "0",
        "WAYBILL_PROCESSES": "2",
    }
    process = ForkedProcess("waybill_gateway", env=environment, log=tmp_path / "log")

    assert await asyncio.to_thread(process.wait, 60) == 78
    assert "run `python -m waybill_ledger upgrade`" in (tmp_path / "log").read_text()
