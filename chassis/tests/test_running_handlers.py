import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from chassis.errors import TransientError
from chassis.running import CalledOffError, RunningHandlers, irrevocably


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
    with pytest.raises(CalledOffError):
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
        return await irrevocably(effect())

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
        await irrevocably(effect())

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
        await (irrevocably(effect()) if shielded else effect())

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
