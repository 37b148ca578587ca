"""Very many who watch, failures under them, and several gateways: each learns all, and none costs a query."""

import asyncio
import json
import os
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError
from streaming import PATIENCE, Served, Stream, served

from waybill_contracts.wire.lifecycle import LifecycleEvent, LifecycleType
from waybill_database import Records
from waybill_ledger import Submission, accept, apply_events
from waybill_ledger.migrations.migrate import upgrade
from waybill_testkit.eventually import eventually
from waybill_testkit.gateway.in_process import EMAIL
from waybill_testkit.gateway.process import gateway as gateway_process
from waybill_testkit.postgres import InstalledPostgres
from waybill_testkit.samples import new_task, reported

STARTED, COMPLETED = LifecycleType.STARTED, LifecycleType.COMPLETED
MANY = 2000
#: Statements for all of them: looks, and reads that they share.
FEW = 400


@pytest.fixture(autouse=True)
def _files() -> Iterator[None]:
    """Room for both ends of all connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 3 * MANY), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements that this process sends to any database during the block."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def outcome(gateway: Served, task_id: str) -> tuple[str, str]:
    """What a caller who waits is answered: id and state of its task."""
    reader, writer = await asyncio.open_connection(*gateway.address)
    writer.write(f"GET /v1/tasks/{task_id}?wait=60 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    task = json.loads(answer.partition(b"\r\n\r\n")[2])
    return task["id"], task["state"]


def are_waiting(gateway: Served, number: int) -> bool:
    return gateway.measured("waybill_watchers", watched="end") == number


async def test_two_thousand_callers_learn_the_ends_of_their_tasks_by_a_few_statements(
    tmp_path: Path, ledger_url: str
) -> None:
    limits = {"max_connections": MANY + 100, "max_watchers": MANY}
    async with served(tmp_path, ledger_url, **limits) as gateway:
        mails = {"tasks": [{"kind": "email.requested", "data": EMAIL}] * 1000}
        tasks = [
            task["id"]
            for _ in range(MANY // 1000)
            for task in (await gateway.client.post("/v1/tasks/bulk", json=mails)).json()["tasks"]
        ]
        asked: list[asyncio.Task[tuple[str, str]]] = []
        with statements() as of_arriving:
            for begin in range(0, MANY, 100):
                asked += [asyncio.create_task(outcome(gateway, each)) for each in tasks[begin : begin + 100]]
                await eventually(partial(are_waiting, gateway, len(asked)), 60)
        with statements() as sent:
            for begin in range(0, MANY, 100):
                await gateway.happened(
                    *[reported(COMPLETED, task_id) for task_id in tasks[begin : begin + 100]]
                )
            answers = await asyncio.wait_for(asyncio.gather(*asked), 60)

    assert sorted(answers) == sorted((task_id, "completed") for task_id in tasks)
    reads = [statement for statement in sent if statement.startswith(("SELECT", "PRAGMA"))]
    assert len(of_arriving) < FEW, len(of_arriving)
    assert len(reads) < FEW, len(reads)


async def streamed(gateway: Served, path: str, number: int) -> list[str]:
    """The types of the first events of a stream, to its end or until there are so many."""
    reader, writer = await asyncio.open_connection(*gateway.address)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    types: list[str] = []
    while len(types) < number and (line := await reader.readline()):
        name, _, data = line.decode().partition(": ")
        if name == "data":
            types.append(json.loads(data).get("type", "end"))
    writer.close()
    return types


def are_streaming(gateway: Served, sort: str, number: int) -> bool:
    return gateway.measured("waybill_watchers", watched=sort) == number


@pytest.mark.parametrize("sort", ["task", "all"])
async def test_two_thousand_streams_cost_a_few_statements(tmp_path: Path, ledger_url: str, sort: str) -> None:
    of_all = sort == "all"
    limits = {"max_connections": MANY + 100, "max_watchers": MANY}
    async with served(tmp_path, ledger_url, **limits) as gateway:
        mails = {"tasks": [{"kind": "email.requested", "data": EMAIL}] * 1000}
        tasks = [
            task["id"]
            for _ in range(MANY // 1000)
            for task in (await gateway.client.post("/v1/tasks/bulk", json=mails)).json()["tasks"]
        ]
        watched = tasks[:20] if of_all else tasks
        # Of its own task each has the completion and the end, of all tasks each has all completions.
        number = len(watched) if of_all else 2
        paths = ["/v1/events"] * MANY if of_all else [f"/v1/tasks/{task_id}/events" for task_id in tasks]
        asked: list[asyncio.Task[list[str]]] = []
        with statements() as of_arriving:
            for begin in range(0, MANY, 100):
                asked += [
                    asyncio.create_task(streamed(gateway, path, number))
                    for path in paths[begin : begin + 100]
                ]
                await eventually(partial(are_streaming, gateway, sort, len(asked)), 60)
        with statements() as of_resting:
            await asyncio.sleep(2)
        with statements() as sent:
            for begin in range(0, len(watched), 100):
                done = [reported(COMPLETED, task_id) for task_id in watched[begin : begin + 100]]
                await gateway.happened(*done)
            answers = await asyncio.wait_for(asyncio.gather(*asked), 120)

    expected = [COMPLETED] * number if of_all else [COMPLETED, "end"]
    assert answers == [expected] * MANY
    reads = [statement for statement in sent if statement.startswith(("SELECT", "PRAGMA"))]
    assert len(of_arriving) < FEW, len(of_arriving)
    assert len(of_resting) < FEW, len(of_resting)
    assert len(reads) < FEW, len(reads)


class Writer:
    """Accepts tasks and merges events past any gateway, as the status service does."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def task(self) -> str:
        """Id of a new task."""
        task = new_task()
        await self._records.write(accept, Submission(task))
        return task.id

    async def happened(self, *events: LifecycleEvent) -> None:
        """Merges events."""

        def apply(connection: Connection, batches: Any) -> list[None]:
            apply_events(connection, [each for batch in batches for each in batch])
            return [None] * len(batches)

        await self._records.write(apply, events)


@asynccontextmanager
async def writing(ledger_url: str) -> AsyncIterator[Writer]:
    """A writer for the time of the block."""
    records = Records(ledger_url)
    yield Writer(records)
    await records.close()


async def test_one_goes_on_at_another_gateway_when_its_own_is_killed(tmp_path: Path, ledger_url: str) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    async with (
        writing(ledger_url) as writer,
        httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client,
    ):
        with gateway_process(folders[0], ledger_url) as one, gateway_process(folders[1], ledger_url) as two:
            seen: list[tuple[str, str]] = []
            last = "0"
            tasks = [await writer.task() for _ in range(40)]

            async def report() -> None:
                for task_id in tasks:
                    await writer.happened(reported(STARTED, task_id))
                    await writer.happened(reported(COMPLETED, task_id))

            reporting = asyncio.create_task(report())
            for gateway, number in ((one, 13), (two, 2 * len(tasks) - 13)):
                headers = {"Last-Event-ID": last}
                async with client.stream("GET", f"{gateway.address}/v1/events", headers=headers) as answer:
                    stream = Stream(answer)
                    for each in await stream.take(number):
                        seen.append((each.data["task_id"], each.data["type"]))
                        last = each.id
                    if gateway is one:
                        os.kill(one.pid, signal.SIGKILL)
            await reporting

    assert sorted(seen) == sorted((task_id, type_) for task_id in tasks for type_ in (STARTED, COMPLETED))


async def retried(gateway: Served, *events: LifecycleEvent) -> None:
    """Merges events, as soon as the database is back."""

    async def merge() -> bool:
        try:
            await gateway.happened(*events)
        except OperationalError:
            return False
        return True

    await eventually(merge)


async def test_streams_outlast_a_restart_of_the_database(
    tmp_path: Path, own_postgres: InstalledPostgres
) -> None:
    with own_postgres.database() as url:
        upgrade(url)
        async with served(tmp_path, url) as gateway:
            tasks = [await gateway.accepted() for _ in range(2)]
            waiting = asyncio.create_task(
                gateway.client.get(f"/v1/tasks/{tasks[1]}", params={"wait": 60}, timeout=90)
            )
            async with gateway.stream("/v1/events") as stream:
                await gateway.happened(reported(STARTED, tasks[0]))
                events = await stream.take(1)
                await asyncio.to_thread(own_postgres.stop)
                await asyncio.to_thread(own_postgres.start)
                await retried(gateway, *[reported(COMPLETED, task_id) for task_id in tasks])
                events += await stream.take(2)
            answer = await waiting

    assert [each.data["type"] for each in events] == [STARTED, COMPLETED, COMPLETED]
    assert answer.json()["state"] == "completed"
