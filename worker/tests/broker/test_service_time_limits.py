"""A whole service in a process of its own whose handlers overrun: what is done, and how often."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from waybill_contracts.wire.envelope import Envelope
from waybill_contracts.wire.lifecycle import LIFECYCLE_BATCH, LifecycleEvent
from waybill_testkit.eventually import eventually
from waybill_testkit.machine import ForkedProcess
from waybill_testkit.samples import image_event
from waybill_testkit.wire import Wire
from waybill_worker.limits.watchdog import EXIT_HARD_LIMIT

CHILD = Path(__file__).with_name("overrunning_service.py")


class Overrunning:
    """The service, and what it did."""

    def __init__(self, url: str, folder: Path) -> None:
        self._folder = folder
        self._effects = folder / "effects"
        self._log = folder / "log"
        self.environment = os.environ | {
            "WAYBILL_AMQP_URL": url,
            "WAYBILL_INBOX_URL": f"sqlite:///{folder}/inbox.db",
            "WAYBILL_LEASE_SECONDS": "2",
            "WAYBILL_SOFT_LIMIT_SECONDS": "1",
            "WAYBILL_HARD_LIMIT_SECONDS": "2",
            "WAYBILL_RETRY_BASE_SECONDS": "1",
            "WAYBILL_RETRY_CAP_SECONDS": "1",
        }
        self.started: list[ForkedProcess] = []

    def start(self, way: str) -> ForkedProcess:
        child = ForkedProcess(CHILD, self._effects, way, env=self.environment, log=self._log)
        self.started.append(child)
        return child

    def did(self, task: Envelope) -> list[str]:
        """The effects of a task: attempt and words."""
        if not self._effects.exists():
            return []
        lines = [line.split(" ", 1) for line in self._effects.read_text().splitlines()]
        return [what for task_id, what in lines if task_id == task.task_id]

    def logged(self, event: str) -> list[dict[str, object]]:
        lines = [line for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [line for line in map(json.loads, lines) if line["event"] == event]


@pytest.fixture
def service(topology_url: str, tmp_path: Path) -> Iterator[Overrunning]:
    service = Overrunning(topology_url, tmp_path)
    yield service
    for child in service.started:
        child.kill()
        child.wait()


async def late_one(wire: Wire) -> Envelope:
    return await wire.request(image_event().model_copy(update={"source_key": "uploads/aa/late"}))


async def told_of(wire: Wire, *tasks: Envelope) -> dict[str, list[LifecycleEvent]]:
    """The events of each task, until each is completed; each event once."""
    told: dict[str, dict[str, LifecycleEvent]] = {task.task_id: {} for task in tasks}
    while not all(any(e.type == "task.completed" for e in events.values()) for events in told.values()):
        for event in LIFECYCLE_BATCH.validate_json((await wire.take("status.work")).body):
            told[event.data.task_id].setdefault(event.id, event)
    return {task_id: list(events.values()) for task_id, events in told.items()}


def story(events: list[LifecycleEvent]) -> list[tuple[str, int, str | None]]:
    return [(e.type.value, e.data.attempt, e.data.error.type if e.data.error else None) for e in events]


def story_of(limit: str) -> list[tuple[str, int, str | None]]:
    return [
        ("task.started", 1, None),
        ("task.retrying", 1, limit),
        ("task.started", 2, None),
        ("task.completed", 2, None),
    ]


@pytest.mark.parametrize(
    ("way", "limit", "reason"),
    [
        ("cooperative", "SoftTimeLimitExceeded", "soft time limit"),
        ("deaf", "HardTimeLimitExceeded", "hard time limit"),
    ],
)
async def test_a_handler_that_can_be_stopped_is_stopped_and_tried_again(
    service: Overrunning, wire: Wire, way: str, limit: str, reason: str
) -> None:
    child = service.start(way)
    late, other = await late_one(wire), await wire.request(image_event())
    told = await told_of(wire, late, other)

    assert story(told[late.task_id]) == story_of(limit)
    assert story(told[other.task_id]) == [("task.started", 1, None), ("task.completed", 1, None)]
    assert service.did(late) == ["1 began", f"1 cleaned up after {reason}", "2 began", "2 did it"]
    assert service.did(other) == ["1 began", "1 did it"]
    child.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(child.wait, 60) == 0


@pytest.mark.parametrize("way", ["stuck", "thread"])
async def test_a_handler_that_will_not_end_ends_with_its_process_and_never_runs_twice_at_once(
    service: Overrunning, wire: Wire, way: str
) -> None:
    first = service.start(way)
    late, other = await late_one(wire), await wire.request(image_event())
    await eventually(lambda: first.poll() is not None, seconds=60)
    # No other process went on before this one had ended.
    assert service.did(late) == ["1 began"]
    service.start(way)
    told = await told_of(wire, late, other)

    (line,) = service.logged("ending the process: an attempt does not end")
    assert line["why"] == "a handler does not end though it was cut off"

    assert first.returncode == EXIT_HARD_LIMIT
    assert (line["task_id"], line["kind"]) == (late.task_id, "image.uploaded")
    assert story(told[late.task_id]) == story_of("HardTimeLimitExceeded")
    assert service.did(late) == ["1 began", "2 began", "2 did it"]
    assert service.did(other) == ["1 began", "1 did it"]


async def test_a_function_in_a_process_is_killed_alone_and_the_service_goes_on(
    service: Overrunning, wire: Wire
) -> None:
    # The process of the function is made within the limit.
    service.environment |= {"WAYBILL_SOFT_LIMIT_SECONDS": "9", "WAYBILL_HARD_LIMIT_SECONDS": "10"}
    child = service.start("process")
    late, other = await late_one(wire), await wire.request(image_event())
    told = await told_of(wire, late, other)

    assert child.poll() is None
    assert story(told[late.task_id]) == story_of("HardTimeLimitExceeded")
    assert service.did(late) == ["1 began", "2 began", "2 did it"]
    assert service.did(other) == ["1 began", "1 did it"]
    by = {e.data.result["by"] for e in told[other.task_id] if e.data.result is not None}
    assert by != {child.pid}
    child.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(child.wait, 60) == 0


async def test_a_service_that_stops_does_not_wait_for_a_thread(service: Overrunning, wire: Wire) -> None:
    service.environment |= {"WAYBILL_SOFT_LIMIT_SECONDS": "500", "WAYBILL_HARD_LIMIT_SECONDS": "600"}
    service.environment |= {"WAYBILL_GRACE_SECONDS": "1"}
    first = service.start("thread")
    late = await late_one(wire)
    await eventually(lambda: service.did(late) == ["1 began"], seconds=60)
    first.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(first.wait, 60) == 0
    # Its next run waits for the lease, and does not count the one that was cut off.
    service.environment |= {"WAYBILL_HARD_LIMIT_SECONDS": "2", "WAYBILL_SOFT_LIMIT_SECONDS": "1"}
    second = service.start("thread")
    await eventually(lambda: second.poll() is not None, seconds=60)
    service.start("thread")
    told = await told_of(wire, late)

    assert service.did(late) == ["1 began", "1 began", "2 began", "2 did it"]
    assert story(told[late.task_id])[-1] == ("task.completed", 2, None)
    assert not service.logged("ending with tasks that do not end")


async def test_code_that_blocks_the_process_ends_with_it_and_the_others_go_on(
    service: Overrunning, wire: Wire
) -> None:
    first = service.start("blocking")
    late = await late_one(wire)
    await eventually(lambda: service.did(late) == ["1 began"], seconds=60)
    others = [await wire.request(image_event()) for _ in range(5)]
    await eventually(lambda: first.poll() is not None, seconds=60)
    service.start("blocking")
    told = await told_of(wire, late, *others)
    (line,) = service.logged("ending the process: an attempt does not end")
    assert line["why"] == "the event loop is blocked past a hard time limit"

    assert first.returncode == EXIT_HARD_LIMIT
    assert (line["task_id"], line["kind"], line["level"]) == (late.task_id, "image.uploaded", "critical")
    # Its start was not yet reported when the process ended, if it blocked at once.
    assert story(told[late.task_id])[-3:] == story_of("HardTimeLimitExceeded")[-3:]
    assert service.did(late) == ["1 began", "2 began", "2 did it"]
    assert [service.did(other)[-1] for other in others] == ["1 did it"] * 5
    assert all(service.did(other).count("1 did it") == 1 for other in others)
