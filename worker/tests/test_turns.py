"""Turns: how many attempts of one kind run at once, and what becomes of the other messages."""

import asyncio
import time
from typing import Any

import pytest

from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.kinds.syncs import SyncRequested
from waybill_testkit.eventually import eventually
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.handlers import by_kind, handler
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.consume import turns as turns_module
from waybill_worker.consume.turns import Turns

POLICY = RetryPolicy(1, 1, 1)
SLOW, FREE = SyncRequested.KIND, EmailRequested.KIND


async def nothing(_event: Any, _attempt: Attempt) -> None:
    pass


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def turns(places: int = 1, prefetch: int = 8, clock: Clock | None = None) -> Turns:
    slow = handler(SyncRequested, nothing, POLICY, concurrency=places)
    return Turns(by_kind((slow, handler(EmailRequested, nothing, POLICY))), prefetch, clock=clock or Clock())


async def waiting(one: Turns, number: int) -> list[asyncio.Task[float | None]]:
    tasks = [asyncio.create_task(one.take(SLOW)) for _ in range(number)]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_a_kind_without_a_limit_has_a_place_at_once() -> None:
    one = turns()
    assert [await one.take(FREE) for _ in range(100)] == [None] * 100
    one.leave(FREE)


async def test_places_are_given_in_order_and_never_more_than_there_are() -> None:
    one = turns(places=2, prefetch=20)
    assert [await one.take(SLOW), await one.take(SLOW)] == [None, None]
    first, second = await waiting(one, 2)
    assert not first.done()
    assert not second.done()
    one.leave(SLOW)
    assert await first is None
    assert not second.done()
    one.leave(SLOW)
    assert await second is None
    one.leave(SLOW)
    one.leave(SLOW)
    assert await one.take(SLOW) is None


async def test_only_a_part_of_the_prefetch_waits_and_the_others_come_back_at_the_pace_of_the_work() -> None:
    clock = Clock()
    one = turns(places=2, prefetch=8, clock=clock)
    for _ in range(2):
        await one.take(SLOW)
    kept = await waiting(one, 2)
    for _ in range(50):
        one.took(SLOW, 30.0)
    back = [await one.take(SLOW) for _ in range(4)]

    # Two at once, 30 s each: one every 15 s.
    assert back == pytest.approx([15, 30, 45, 60], rel=0.01)
    assert not any(task.done() for task in kept)
    # None waits for longer than the ladder is asked to keep it.
    assert [await one.take(SLOW) for _ in range(100)][-1] == turns_module.LONGEST_SECONDS
    one.stop()
    await asyncio.gather(*kept, return_exceptions=True)


async def test_none_waits_here_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "WAITING_SECONDS", 0.01)
    one = turns()
    await one.take(SLOW)
    assert await one.take(SLOW) == turns_module.SHORTEST_SECONDS
    # It has left nothing behind.
    one.leave(SLOW)
    assert await one.take(SLOW) is None


async def test_when_the_process_stops_those_that_wait_are_let_go() -> None:
    one = turns()
    await one.take(SLOW)
    [task] = await waiting(one, 1)
    one.stop()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_turn_that_comes_together_with_a_cancellation_goes_to_the_next() -> None:
    one = turns()
    await one.take(SLOW)
    first, second = await waiting(one, 2)
    one.leave(SLOW)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await eventually(second.done)
    assert await second is None


async def test_a_place_that_is_given_in_the_moment_in_which_a_wait_ends_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns_module, "WAITING_SECONDS", 0.02)
    one = turns()
    assert await one.take(SLOW) is None
    [late] = await waiting(one, 1)
    asyncio.get_running_loop().call_later(0.001, one.leave, SLOW)
    # Both times pass while the loop is held up: it calls both in one round, the place first.
    time.sleep(0.1)  # noqa: ASYNC251 - that is what holds it up
    assert await late is None
    one.leave(SLOW)
    assert await asyncio.wait_for(one.take(SLOW), 5) is None
