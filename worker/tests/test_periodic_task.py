"""Work in the background: turn by turn, and no mishap or defect of it goes unnoticed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import ClassVar

import pytest
from sqlalchemy.exc import OperationalError

from waybill_testkit.eventually import eventually
from waybill_worker.runtime.periodic_task import PeriodicTask

LOCKED = OperationalError("SELECT", {}, Exception("database is locked"))
#: Far longer than any test runs.
NEVER = 3600.0


class Counting(PeriodicTask):
    """Ends each turn with the given wait or error."""

    NAME: ClassVar = "counting"

    def __init__(self, *ends: float | Exception | None, every_seconds: float = 0, waits_first: bool = False):
        super().__init__(every_seconds=every_seconds, waits_first=waits_first)
        self._ends = list(ends)
        self.turns = 0

    async def _run_once(self) -> float | None:
        self.turns += 1
        end = self._ends.pop(0) if self._ends else NEVER
        if isinstance(end, Exception):
            raise end
        return end


Started = Callable[[Counting], Awaitable[Counting]]


@pytest.fixture
async def started() -> AsyncIterator[Started]:
    under_way: list[Counting] = []

    async def start(work: Counting) -> Counting:
        under_way.append(work)
        work.start()
        return work

    yield start
    for work in under_way:
        await work.stop()


async def test_one_turn_follows_the_other_until_one_asks_for_a_wait(started: Started) -> None:
    work = await started(Counting(None, 0, None))
    await eventually(lambda: work.turns == 4)


async def test_a_mishap_is_told_and_the_next_turn_tries_again(
    started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    work = await started(Counting(LOCKED, None))
    await eventually(lambda: work.turns == 3)

    logged = capsys.readouterr().out
    assert "failed for now, trying again" in logged
    assert "counting" in logged
    assert "database is locked" in logged


async def test_it_may_wait_before_the_first_turn(started: Started) -> None:
    work = await started(Counting(every_seconds=NEVER, waits_first=True))
    other = await started(Counting(0, 0))
    await eventually(lambda: other.turns == 3)

    assert work.turns == 0


async def test_a_defect_ends_it_and_is_noticed(started: Started, capsys: pytest.CaptureFixture[str]) -> None:
    work = await started(Counting(LookupError("a defect")))
    async with asyncio.timeout(60):
        await work.wait_failed()

    assert "ended, though it should not" in capsys.readouterr().out
