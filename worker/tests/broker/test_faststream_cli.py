"""A service under FastStream's own command line: it lives, fails and stops as it does under `python -m`."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from waybill_testkit.eventually import eventually
from waybill_testkit.machine import ForkedProcess
from waybill_testkit.samples import sync_event
from waybill_testkit.wire import Wire

FOLDER = Path(__file__).parent
APP = ("faststream_service:make_app", "--factory", "--app-dir", str(FOLDER))
#: Nobody listens there.
NO_BROKER = "amqp://guest:guest@127.0.0.1:1/"

Start = Callable[..., ForkedProcess]


@pytest.fixture
def effects(tmp_path: Path) -> Path:
    """Where the handler writes when it begins and ends."""
    return tmp_path / "effects"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What the process writes."""
    return tmp_path / "log"


@pytest.fixture
def environment(tmp_path: Path, effects: Path) -> dict[str, str]:
    return os.environ | {
        "WAYBILL_INBOX_URL": f"sqlite:///{tmp_path}/inbox.db",
        "WAYBILL_RETRY_BASE_SECONDS": "1",
        "WAYBILL_TEST_EFFECTS": str(effects),
    }


@pytest.fixture
def start(environment: dict[str, str], log: Path) -> Iterator[Start]:
    """Starts `faststream run`; what still runs at the end is killed."""
    started: list[ForkedProcess] = []

    def start(**variables: str) -> ForkedProcess:
        child = ForkedProcess("faststream", "run", *APP, env=environment | variables, log=log)
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.wait()


def told(log: Path) -> list[dict[str, Any]]:
    """The log; nothing else may be written."""
    return [json.loads(line) for line in log.read_text().splitlines()]


async def test_it_runs_retries_and_gives_up_as_ever(start: Start, topology_url: str, wire: Wire) -> None:
    start(WAYBILL_AMQP_URL=topology_url)
    retried = await wire.request(sync_event("retried"))
    events = await wire.reported(until="task.completed")
    refused = await wire.request(sync_event("refused"))
    letter = await wire.take("sync.dlq")

    assert [event.type.value for event in events] == [
        "task.started",
        "task.retrying",
        "task.started",
        "task.completed",
    ]
    assert (events[-1].data.task_id, events[-1].data.result) == (retried.task_id, {"attempt": 2})
    assert (letter.headers["x-task-id"], letter.headers["x-dead-reason"]) == (refused.task_id, "permanent")


async def test_a_signal_lets_it_end_its_work_and_then_stop(
    start: Start, topology_url: str, wire: Wire, effects: Path, log: Path
) -> None:
    child = start(WAYBILL_AMQP_URL=topology_url)
    slow = await wire.request(sync_event("slow"))
    await eventually(lambda: effects.exists() and "slow begins" in effects.read_text())
    child.send_signal(signal.SIGTERM)
    code = await asyncio.to_thread(child.wait, 60)
    ended = await asyncio.to_thread(lambda: effects.read_text().splitlines())
    events = await wire.reported(until="task.completed")

    assert code == 0
    assert ended == ["slow begins", "slow ends"]
    assert events[-1].data.task_id == slow.task_id
    lines = [line["event"] for line in told(log)]
    assert (
        lines.index("stopping") < lines.index("attempt completed") < lines.index("stopped") == len(lines) - 1
    )
    # Acknowledged: nobody gets it again.
    assert await wire.ready("sync.work") == 0


async def test_its_exit_stops_it_in_order(start: Start, topology_url: str, wire: Wire, log: Path) -> None:
    child = start(WAYBILL_AMQP_URL=topology_url)
    await wire.request(sync_event("last"))
    code = await asyncio.to_thread(child.wait, 60)

    assert code == 0
    assert told(log)[-1]["event"] == "stopped"
    assert (await wire.reported(until="task.completed"))[-1].data.attempt == 1


async def test_a_signal_ends_a_start_that_waits_for_the_broker(start: Start, log: Path) -> None:
    child = start(WAYBILL_AMQP_URL=NO_BROKER)
    await eventually(lambda: "the broker cannot be reached" in log.read_text())
    child.send_signal(signal.SIGTERM)
    code = await asyncio.to_thread(child.wait, 60)

    assert code == 0
    assert told(log)[-1]["event"] == "stopped"


async def test_it_ends_when_its_consumer_stays_away(start: Start, topology_url: str, wire: Wire) -> None:
    child = start(WAYBILL_AMQP_URL=topology_url)
    await wire.request(sync_event("first"))
    await wire.reported(until="task.completed")
    await wire.channel.queue_delete("sync.work")
    await eventually(lambda: child.poll() is not None, seconds=60)

    assert child.returncode == 70


def test_a_wrong_setting_is_told_in_one_line(start: Start, log: Path) -> None:
    code = start(WAYBILL_PREFETCH="0").wait(60)
    (line,) = told(log)

    assert code == 78
    assert "WAYBILL_PREFETCH: Input should be greater" in line["reason"]


def test_its_asyncapi_document_is_faststreams(environment: dict[str, str], tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "faststream", "docs", "gen", *APP, "--out", "asyncapi.json"],
        env=environment | {"WAYBILL_AMQP_URL": "amqp://ann:secret@broker.test/waybill"},
        cwd=tmp_path,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    text = (tmp_path / "asyncapi.json").read_text()
    document = json.loads(text)
    message = document["components"]["messages"]["sync.work:SubscribeMessage"]
    schemas = document["components"]["schemas"]

    assert "secret" not in text
    assert document["info"]["title"] == "sync"
    assert document["channels"].keys() == {"sync.work", "sync.control"}
    assert document["channels"]["sync.work"]["description"].splitlines() == [
        "- `sync.requested`: Do what the record is called.",
        "- `user.created`: Note the new user.",
    ]
    assert [each["$ref"] for each in message["payload"]["oneOf"]] == [
        "#/components/schemas/sync.requested",
        "#/components/schemas/user.created",
    ]
    for kind, event in (("sync.requested", "SyncRequested"), ("user.created", "UserCreated")):
        assert schemas[kind]["description"], event
        assert schemas[kind]["title"] == kind
