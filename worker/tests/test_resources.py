import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from waybill_worker.resources import Resources
from waybill_worker.runtime.process import MisconfiguredError


async def test_they_are_opened_and_closed_in_one_task() -> None:
    tasks: list[asyncio.Task[None] | None] = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        tasks.append(asyncio.current_task())
        yield
        tasks.append(asyncio.current_task())

    resources = Resources(opened())
    await resources.start()
    assert len(tasks) == 1
    await resources.stop()
    assert len(tasks) == 2
    assert tasks[0] is tasks[1]


@pytest.mark.parametrize("error", [ValueError("no such target"), FileNotFoundError("ca.pem")])
async def test_a_wrong_setting_is_for_people_to_correct(error: Exception) -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        raise error
        yield

    resources = Resources(opened())
    with pytest.raises(MisconfiguredError, match=str(error)):
        await resources.start()
    await resources.stop()


async def test_a_server_that_is_away_is_not_a_wrong_setting() -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        raise ConnectionRefusedError("away")
        yield

    with pytest.raises(ConnectionRefusedError):
        await Resources(opened()).start()


async def test_what_takes_long_to_open_does_not_delay_the_stop() -> None:
    entered, closed = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        entered.set()
        try:
            await asyncio.Event().wait()
            yield
        finally:
            closed.set()

    resources = Resources(opened())
    starting = asyncio.create_task(resources.start())
    await entered.wait()
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await resources.stop()

    assert closed.is_set()


async def test_an_error_of_closing_is_told() -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        yield
        raise RuntimeError("not closed")

    resources = Resources(opened())
    await resources.start()
    with pytest.raises(RuntimeError, match="not closed"):
        await resources.stop()


async def test_without_resources_there_is_nothing_to_do() -> None:
    resources = Resources()
    await resources.stop()
    await resources.start()
    await resources.stop()
