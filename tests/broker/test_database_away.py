"""PostgreSQL is away, or refuses them, while all processes start; or can only be read while they work."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from waybill_contracts.wire.lifecycle import LIFECYCLE_BATCH, LifecycleType
from waybill_devstack.stack.plan import Planned, Ports, make_plan
from waybill_ledger.migrations.migrate import upgrade
from waybill_testkit.eventually import eventually
from waybill_testkit.machine import ForkedProcess, free_ports
from waybill_testkit.postgres.failover import read_only
from waybill_testkit.postgres.private import InstalledPostgres
from waybill_testkit.samples import dead_message, new_task, reported, sync_event
from waybill_testkit.wire import Wire

#: Seven processes begin at once, on few cores that may be busy with others.
START_SECONDS = 240.0
STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Running:
    planned: Planned
    process: ForkedProcess
    log: Path

    async def answer(self, client: httpx.AsyncClient, path: str) -> tuple[int, dict[str, Any]]:
        """Status and body; 0 while nothing listens."""
        parts = urlsplit(self.planned.ready_url)
        try:
            answer = await client.get(f"{parts.scheme}://{parts.netloc}{path}")
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()

    def lines(self, level: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["level"] == level]


@dataclass(frozen=True)
class Processes:
    """All that an installation consists of, but for broker and database."""

    all: tuple[Running, ...]
    client: httpx.AsyncClient

    def named(self, name: str) -> Running:
        (found,) = [each for each in self.all if each.planned.name == name]
        return found

    def address(self, name: str) -> str:
        return self.named(name).planned.ready_url.rpartition("/")[0]

    @property
    def ours(self) -> list[Running]:
        return [each for each in self.all if each.planned.ready_url.endswith("/readyz")]

    async def are(self, path: str, status: int) -> bool:
        assert [each.planned.name for each in self.all if each.process.poll() is not None] == []
        answers = await asyncio.gather(*(each.answer(self.client, path) for each in self.ours))
        return {code for code, _ in answers} == {status}

    async def become(self, path: str, status: int) -> None:
        await eventually(lambda: self.are(path, status), START_SECONDS)


@asynccontextmanager
async def running(processes: tuple[Planned, ...], folder: Path) -> AsyncIterator[Processes]:
    with ExitStack() as stack:
        started = tuple(stack.enter_context(_started(planned, folder)) for planned in processes)
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            yield Processes(started, client)
        for each in started:
            each.process.terminate()


@contextmanager
def _started(planned: Planned, folder: Path) -> Iterator[Running]:
    log = folder / f"{planned.name}.log"
    _python, _dash_m, module, *arguments = planned.argv
    process = ForkedProcess(module, *arguments, env=os.environ | planned.env, log=log)
    try:
        yield Running(planned, process, log)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


@pytest.fixture
def databases(own_postgres: InstalledPostgres) -> dict[str, str]:
    """The URL of each process's database."""
    names = ("ledger", "inbox-email", "inbox-images", "inbox-sync", "inbox-status", "inbox-deadletters")
    urls = {name: own_postgres.new_database() for name in names}
    upgrade(urls["ledger"])
    return urls


def planned(tmp_path: Path, amqp_url: str, databases: dict[str, str], *others: str) -> tuple[Planned, ...]:
    numbers = free_ports(len(fields(Ports)))
    plan = make_plan(tmp_path, amqp_url, Ports(*numbers), database=databases.__getitem__)
    return tuple(each for each in plan.processes if each.name not in {"mailbox", "crm"} - {*others})


async def test_every_process_waits_for_its_database_and_says_who_refuses_it_until_that_is_mended(
    own_postgres: InstalledPostgres, topology_url: str, databases: dict[str, str], tmp_path: Path
) -> None:
    missing = {name: f"{url}_not_yet" for name, url in databases.items()}
    own_postgres.stop()
    try:
        async with running(planned(tmp_path, topology_url, missing), tmp_path) as processes:
            await processes.become("/readyz", 503)
            assert await processes.are("/healthz", 200)
            await eventually(lambda: all(each.lines("warning") for each in processes.all))
            for each in processes.all:
                # Once: for a minute nothing more is to be said of it.
                waits = [line for line in each.lines("warning") if "waiting for it" in line["event"]]
                assert len(waits) == 1, each.planned.name
                assert "connection" in waits[0]["error"]
                assert each.lines("critical") == []
            await asyncio.to_thread(own_postgres.start)
            await eventually(lambda: all(each.lines("critical") for each in processes.all), START_SECONDS)
            for each in processes.all:
                (refused,) = each.lines("critical")
                assert "the database refuses this process" in refused["event"]
                assert "does not exist" in refused["reason"]
            for name in missing.values():
                own_postgres.rename(name.removesuffix("_not_yet"), name)
            await processes.become("/readyz", 200)
        assert {each.process.returncode for each in processes.all} == {0}
    finally:
        if not own_postgres.is_running:
            own_postgres.start()


async def test_while_the_databases_can_only_be_read_everything_waits_and_nothing_is_lost(
    own_postgres: InstalledPostgres, topology_url: str, wire: Wire, databases: dict[str, str], tmp_path: Path
) -> None:
    async with running(planned(tmp_path, topology_url, databases, "crm"), tmp_path) as processes:
        await processes.become("/readyz", 200)
        gateway = processes.address("gateway")
        body = {"target": "crm", "resource": "contacts", "id": "ada", "data": {}, "delay_seconds": 1}
        answers = [await processes.client.post(f"{gateway}/v1/syncs", json=body) for _ in range(5)]
        tasks = [answer.json()["id"] for answer in answers]
        with read_only(own_postgres):
            await processes.become("/readyz", 503)
            refused = await processes.client.post(f"{gateway}/v1/syncs", json=body)
            assert (refused.status_code, refused.json()["type"][-18:]) == (503, "ledger_unavailable")
            # What comes meanwhile by the broker: for a service, for the status service and for the desk.
            await wire.request(sync_event())
            report = reported(LifecycleType.STARTED, tasks[0], service="sync", kind="sync.requested")
            await wire.put("events", report.type, LIFECYCLE_BATCH.dump_json([report]), {})
            letter = dead_message(sync_event(), new_task().id)
            await wire.put("dlx", "sync.dlq", letter.body, letter.headers)
            held_up = [processes.named(name) for name in ("sync", "status", "deadletters")]
            await eventually(lambda: all(each.lines("warning") for each in held_up))
        await processes.become("/readyz", 200)

        async def all_completed() -> bool:
            states = [
                (await processes.client.get(f"{gateway}/v1/tasks/{id_}")).json()["state"] for id_ in tasks
            ]
            return set(states) == {"completed"}

        await eventually(all_completed, START_SECONDS)

        async def letters() -> list[str]:
            page = (await processes.client.get(f"{gateway}/v1/dead-letters")).json()
            return [each["task_id"] for each in page["items"]]

        await eventually(letters, START_SECONDS)
        assert await letters() == [letter.headers["x-task-id"]]
        # The gateway has answered with errors; to the others nothing has happened that they do not expect.
        services = [each for each in processes.ours if each.planned.name != "gateway"]
        assert [each.lines("error") + each.lines("critical") for each in services] == [[]] * 5
