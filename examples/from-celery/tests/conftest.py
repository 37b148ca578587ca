"""The shop on each of the two: the same functions, with workers that run."""

import asyncio
from collections.abc import AsyncIterator
from types import ModuleType

import pytest
from celery.contrib.testing.worker import start_worker
from waybill.testing import Stack

from bookshop import after, before
from bookshop.warehouse import warehouse

pytest_plugins = ["waybill.testing.plugin"]


@pytest.fixture(autouse=True)
def _fresh_warehouse() -> None:
    warehouse.away_for = 0
    warehouse.packed.clear()
    warehouse.announced.clear()


@pytest.fixture(params=[before, after], ids=["celery", "waybill"])
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[ModuleType]:
    """The module of one of the two, while its worker runs."""
    if request.param is before:
        worker = start_worker(before.app, perform_ping_check=False)
        await asyncio.to_thread(worker.__enter__)
        yield before
        await asyncio.to_thread(worker.__exit__, None, None, None)
        return
    stack: Stack = request.getfixturevalue("waybill_stack")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAYBILL_URL", stack.url)
        async with stack.running(after.service):
            await asyncio.to_thread(after.schedule)
            yield after
