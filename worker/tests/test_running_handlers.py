import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from waybill_worker.errors import HardTimeLimitExceeded, SoftTimeLimitExceeded, TransientError
from waybill_worker.limits import running_handlers as running_module
from waybill_worker.limits.running_handlers import (
    HandlerCancelled,
    RunningHandlers,
    StopReason,
    uncancellable,
)
from waybill_worker.limits.time_limits import LONGEST_SECONDS, TimeLimits

#: Limits that a test reaches at once.
SHORT = TimeLimits(0.02, 0.1)


async def begun(
    running: RunningHandlers, handler: Coroutine[Any, Any, Any], started: asyncio.Event
) -> asyncio.Task[Any]:
    run = asyncio.create_task(running.run("t", handler))
    await started.wait()
    return run


async def test_a_handler_is_stopped_at_its_next_await_and_may_clean_up() -> None:
    running, started, cleaned = RunningHandlers(), asyncio.Event(), []

    async def handler() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("cleaned")

    run = await begun(running, handler(), started)
    assert running.stop("another task") == 0
    assert running.stop("t") == 1
    with pytest.raises(HandlerCancelled):
        await run
    assert cleaned == ["cleaned"]
    assert running.stop("t") == 0


async def test_what_cannot_be_taken_back_is_seen_through() -> None:
    running, started, go_on = RunningHandlers(), asyncio.Event(), asyncio.Event()

    async def effect() -> str:
        started.set()
        await go_on.wait()
        return "sent"

    async def handler() -> str:
        return await uncancellable(effect())

    run = await begun(running, handler(), started)
    running.stop("t")
    await asyncio.sleep(0)
    assert not run.done()
    go_on.set()
    assert await run == "sent"


async def test_a_failure_past_the_point_of_return_is_a_failure() -> None:
    running, started, go_on = RunningHandlers(), asyncio.Event(), asyncio.Event()

    async def effect() -> None:
        started.set()
        await go_on.wait()
        raise TransientError("refused")

    async def handler() -> None:
        await uncancellable(effect())

    run = await begun(running, handler(), started)
    running.stop("t")
    go_on.set()
    with pytest.raises(TransientError, match="refused"):
        await run


@pytest.mark.parametrize("shielded", [False, True])
async def test_a_library_that_cancels_its_own_waiting_does_not_call_the_task_off(*, shielded: bool) -> None:
    async def effect() -> None:
        raise asyncio.CancelledError

    async def handler() -> None:
        await (uncancellable(effect()) if shielded else effect())

    with pytest.raises(TransientError, match="cut off from within"):
        await RunningHandlers().run("t", handler())


async def test_a_process_that_stops_does_not_call_the_task_off() -> None:
    running, started = RunningHandlers(), asyncio.Event()

    async def handler() -> None:
        started.set()
        await asyncio.Event().wait()

    run = await begun(running, handler(), started)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_being_asked_twice_does_not_break_what_is_seen_through() -> None:
    running, started, go_on = RunningHandlers(), asyncio.Event(), asyncio.Event()

    async def effect() -> str:
        started.set()
        await go_on.wait()
        return "sent"

    async def handler() -> str:
        return await uncancellable(effect())

    run = await begun(running, handler(), started)
    # As when each renewal of the lease finds the task cancelled.
    for _ in range(3):
        running.stop("t")
        await asyncio.sleep(0)
    assert not run.done()
    go_on.set()
    assert await run == "sent"


async def test_a_handler_that_takes_too_long_is_stopped_with_the_reason_and_may_clean_up() -> None:
    reasons = []

    async def handler() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as stopped:
            await asyncio.sleep(0)
            reasons.append(stopped.args[0])
            raise

    with pytest.raises(SoftTimeLimitExceeded, match=r"stopped after 0\.02 s"):
        await RunningHandlers().run("t", handler(), SHORT)
    assert reasons == [StopReason.SOFT_LIMIT]


async def test_what_cannot_be_taken_back_may_go_on_past_the_soft_limit() -> None:
    async def effect() -> str:
        await asyncio.sleep(0.06)
        return "sent"

    async def handler() -> str:
        return await uncancellable(effect())

    assert await RunningHandlers().run("t", handler(), TimeLimits(0.02, 60)) == "sent"


async def test_the_hard_limit_cuts_off_an_effect_too() -> None:
    cut_off = []

    async def effect() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.append("closed the connection")

    async def handler() -> None:
        await uncancellable(effect())

    with pytest.raises(HardTimeLimitExceeded, match=r"cut off after 0\.1 s"):
        await RunningHandlers().run("t", handler(), SHORT)
    assert cut_off == ["closed the connection"]


async def test_a_handler_that_ignores_the_soft_limit_is_cut_off_at_the_hard_one() -> None:
    async def handler() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    with pytest.raises(HardTimeLimitExceeded):
        await RunningHandlers().run("t", handler(), SHORT)


async def test_one_that_ignores_both_counts_as_stuck_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_module, "CLEAN_UP_SECONDS", 0.05)
    running = RunningHandlers()
    finish = asyncio.Event()

    async def handler() -> str:
        while not finish.is_set():
            try:
                await finish.wait()
            except asyncio.CancelledError:
                continue
        return "at last"

    run = asyncio.create_task(running.run("t", handler(), SHORT))
    await running.wait_stuck()
    assert running.stuck == {run}
    assert not run.done()
    finish.set()
    assert await run == "at last"


async def test_an_effect_that_says_how_it_ended_when_it_is_cut_off_is_believed() -> None:
    async def effect() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise TransientError("half of it was sent") from None

    async def handler() -> None:
        await uncancellable(effect())

    with pytest.raises(TransientError, match="half of it was sent"):
        await RunningHandlers().run("t", handler(), SHORT)


@pytest.mark.parametrize(
    ("soft", "hard"), [(0, 1), (2, 1), (1, 1), (1, LONGEST_SECONDS + 1), (-1, 5), (float("nan"), 5)]
)
def test_limits_that_make_no_sense_are_refused(soft: float, hard: float) -> None:
    with pytest.raises(ValueError, match="must lie below"):
        TimeLimits(soft, hard)
