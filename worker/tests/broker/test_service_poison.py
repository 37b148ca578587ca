"""Messages that kill their process: they end in the dead-letter queue, and the others go on."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from waybill_contracts.wire.lifecycle import LIFECYCLE_BATCH, DeadReason, LifecycleEvent, LifecycleType
from waybill_contracts.wire.names import HEADER_DEAD_REASON, HEADER_TASK_ID
from waybill_testkit.eventually import eventually
from waybill_testkit.machine import ForkedProcess
from waybill_testkit.samples import image_event
from waybill_testkit.wire import Wire
from waybill_worker.attempt.runner import ALONE_FROM

CHILD = Path(__file__).with_name("effectful_service.py")
#: So many messages arrive around the deadly one.
OTHERS = 10
#: So often is a service killed from outside.
KILLS = 6


class KeptRunning:
    """A service that is started again whenever it dies, as a supervisor does it."""

    def __init__(self, environment: dict[str, str], effects: Path) -> None:
        self._effects = effects
        self._environment = environment
        self._child: ForkedProcess | None = None
        self._stopping = False
        self.deaths = 0

    def run(self) -> None:
        while not self._stopping:
            self._child = ForkedProcess(CHILD, self._effects, "poison", env=self._environment)
            self.deaths += self._child.wait() == -signal.SIGKILL and not self._stopping

    def stop(self) -> None:
        self._stopping = True
        if self._child is not None:
            self._child.kill()


@asynccontextmanager
async def kept_running(environment: dict[str, str], effects: Path) -> AsyncIterator[KeptRunning]:
    kept = KeptRunning(environment, effects)
    running = asyncio.create_task(asyncio.to_thread(kept.run))
    try:
        yield kept
    finally:
        while not running.done():
            kept.stop()
            await asyncio.wait((running,), timeout=0.1)


async def outcomes(wire: Wire, number: int) -> dict[str, LifecycleEvent]:
    """Takes lifecycle events until so many tasks have their outcome.

    A process that is killed between a report and its mark reports the outcome again.
    """
    found: dict[str, LifecycleEvent] = {}
    while len(found) < number:
        message = await wire.take("status.work")
        events = LIFECYCLE_BATCH.validate_json(message.body)
        found |= {
            e.data.task_id: e for e in events if e.type in {LifecycleType.COMPLETED, LifecycleType.DEAD}
        }
    return found


def is_running(pid: int) -> bool:
    # Of one that has ended and waits to be noticed it is empty.
    command = Path(f"/proc/{pid}/cmdline")
    return command.exists() and command.read_bytes() != b""


async def test_a_message_that_kills_its_process_each_time_is_given_up_and_the_others_go_on(
    topology_url: str, wire: Wire, tmp_path: Path
) -> None:
    """Pain: one message is looped for ever after a lost acknowledgement (hatchet 4481)."""
    effects = tmp_path / "effects"
    environment = os.environ | {
        "WAYBILL_AMQP_URL": topology_url,
        "WAYBILL_INBOX_URL": f"sqlite:///{tmp_path}/inbox.db",
        "WAYBILL_LEASE_SECONDS": "1",
    }
    async with kept_running(environment, effects) as kept:
        before = [await wire.request(image_event()) for _ in range(OTHERS)]
        deadly = await wire.request(image_event(), task_id="poison")
        after = [await wire.request(image_event()) for _ in range(OTHERS)]
        events = await outcomes(wire, 2 * OTHERS + 1)
        letter = await wire.take("images.dlq")

    died = events.pop(deadly.task_id)
    assert {event.type for event in events.values()} == {LifecycleType.COMPLETED}
    assert events.keys() == {envelope.task_id for envelope in before + after}
    assert (died.type, died.data.reason) == (LifecycleType.DEAD, DeadReason.CRASHED)
    assert letter.headers[HEADER_TASK_ID] == deadly.task_id
    assert letter.headers[HEADER_DEAD_REASON] == "crashed"
    runs = Counter(line.split()[0] for line in effects.read_text().splitlines())
    assert runs[deadly.task_id] == ALONE_FROM
    assert kept.deaths == ALONE_FROM - 1, "the last run killed nothing but its own process"
    assert died.data.error is not None
    assert died.data.error.message.endswith("alone in a process of its own (exit status -9).")


async def test_no_message_is_given_up_because_its_service_is_killed_from_outside(
    topology_url: str, wire: Wire, tmp_path: Path
) -> None:
    effects = tmp_path / "effects"
    environment = os.environ | {
        "WAYBILL_AMQP_URL": topology_url,
        "WAYBILL_INBOX_URL": f"sqlite:///{tmp_path}/inbox.db",
        "WAYBILL_LEASE_SECONDS": "1",
    }

    def start(way: str) -> ForkedProcess:
        return ForkedProcess(CHILD, effects, way, env=environment)

    def runs() -> list[str]:
        return effects.read_text().splitlines() if effects.exists() else []

    sent = [await wire.request(image_event()) for _ in range(OTHERS)]
    expected = OTHERS
    for _ in range(KILLS):
        service = start("hang")
        # Of those that were cut off one runs at a time: the kill always meets it.
        await eventually(partial(lambda number: len(runs()) >= number, expected))
        service.kill()
        service.wait()
        expected = len(runs()) + 1
    service = start("finish")
    try:
        events = await outcomes(wire, OTHERS)
    finally:
        service.kill()
        service.wait()

    # A process of its own ends with the service that it belongs to.
    pids = {int(line.split()[2]) for line in runs()}
    await eventually(lambda: not any(map(is_running, pids)))
    most = Counter(line.split()[0] for line in runs()).most_common(1)[0][1]
    assert most > ALONE_FROM, "one was met often enough to be suspected"
    assert {event.type for event in events.values()} == {LifecycleType.COMPLETED}
    assert events.keys() == {envelope.task_id for envelope in sent}
