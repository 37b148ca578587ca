import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from time import monotonic

import pytest

from waybill_worker.limits.watchdog import EXIT_HARD_LIMIT, SILENT_TICKS, Watchdog, Watched

TICK = 0.02
#: Ten times as long as it takes to find that a loop is blocked, and far more than a busy machine needs.
LONG = 10 * TICK * SILENT_TICKS
PATIENCE = 100 * LONG


class Process:
    """What the watchdog would end, and what it recorded before."""

    def __init__(self) -> None:
        self.happened: list[object] = []
        self.watchdog = Watchdog(end_process=self.happened.append, tick_seconds=TICK)

    def attempt(self, hard_seconds: float, task_id: str = "t") -> Watched:
        return Watched(
            task_id, "k", 1, monotonic() + hard_seconds, lambda: self.happened.append(f"recorded {task_id}")
        )


@pytest.fixture
def process() -> Iterator[Process]:
    process = Process()
    yield process
    process.watchdog.stop()


def block(seconds: float, process: Process) -> None:
    """Holds the event loop, as code does that never awaits; until the process would be dead."""
    until = monotonic() + seconds
    while monotonic() < until and EXIT_HARD_LIMIT not in process.happened:
        time.sleep(TICK)


async def test_a_blocked_loop_ends_the_process_after_the_outcome_is_recorded(process: Process) -> None:
    process.watchdog.start()
    with process.watchdog.watching(process.attempt(0)):
        block(PATIENCE, process)

    assert process.happened == ["recorded t", EXIT_HARD_LIMIT]


async def test_only_those_past_their_limit_are_recorded(process: Process) -> None:
    process.watchdog.start()
    with (
        process.watchdog.watching(process.attempt(0)),
        process.watchdog.watching(process.attempt(3600, "another")),
    ):
        block(PATIENCE, process)

    assert process.happened == ["recorded t", EXIT_HARD_LIMIT]


async def test_a_blocked_loop_within_the_limit_is_left_alone(process: Process) -> None:
    process.watchdog.start()
    with process.watchdog.watching(process.attempt(3600)):
        block(LONG, process)

    assert process.happened == []


async def test_a_loop_that_answers_is_left_alone_however_late_the_attempt(process: Process) -> None:
    process.watchdog.start()
    with process.watchdog.watching(process.attempt(0)):
        await asyncio.sleep(LONG)
        assert [watched.task_id for watched in process.watchdog.late] == ["t"]

    assert process.happened == []


async def test_a_record_that_fails_does_not_keep_the_process(process: Process) -> None:
    def fails() -> None:
        raise RuntimeError("no database")

    process.watchdog.start()
    with process.watchdog.watching(Watched("t", "k", 1, monotonic(), fails)):
        block(PATIENCE, process)

    assert process.happened == [EXIT_HARD_LIMIT]


async def test_at_the_end_of_its_process_an_attempt_that_is_late_is_recorded_and_left_behind(
    process: Process,
) -> None:
    with process.watchdog.watching(process.attempt(3600)):
        process.watchdog.end_with_the_late()
        assert process.happened == []
        with process.watchdog.watching(process.attempt(0, "late")):
            process.watchdog.end_with_the_late()

    assert process.happened == ["recorded late", EXIT_HARD_LIMIT]


async def test_what_has_ended_is_watched_no_more(process: Process) -> None:
    process.watchdog.start()
    with process.watchdog.watching(process.attempt(0)):
        pass
    block(LONG, process)

    assert process.happened == []


#: A regular expression that runs for hours without letting go of Python's lock.
HOLDS_THE_LOCK = """
import asyncio, re
from time import monotonic
from waybill_worker.limits import watchdog
from waybill_worker.limits.watchdog import Watchdog, Watched

watchdog.LAST_RESORT_SECONDS = 0.5

async def main():
    dog = Watchdog(tick_seconds=0.05)
    dog.start()
    with dog.watching(Watched("t", "k", 1, monotonic() + 0.5, lambda: None)):
        await asyncio.sleep(0.3)
        re.match("(a|a)*$", "a" * 60 + "b")

asyncio.run(main())
"""


def test_code_that_lets_no_other_thread_run_ends_with_the_process_too() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", HOLDS_THE_LOCK], capture_output=True, text=True, check=False, timeout=120
    )

    assert ran.returncode == 1
    assert "Timeout (" in ran.stderr
    assert "re.match" in ran.stderr or "/re/" in ran.stderr
