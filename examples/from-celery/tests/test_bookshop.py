"""What the shop does, on Celery and on Waybill."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from bookshop import after
from bookshop.warehouse import warehouse

MANIFEST = Path(__file__).parents[1] / "manifest.json"


async def eventually(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def outcome(shop: ModuleType, task: str) -> dict[str, str]:
    found: dict[str, str] = await asyncio.to_thread(shop.outcome, task)
    return found


async def test_an_order_is_packed_and_announced(shop: ModuleType) -> None:
    task = await asyncio.to_thread(shop.place, "17")

    assert await outcome(shop, task) == {"parcel": "parcel-17"}
    await eventually(lambda: warehouse.announced == ["17: parcel-17"])


async def test_a_warehouse_that_is_away_is_asked_again(shop: ModuleType) -> None:
    warehouse.away_for = 2
    task = await asyncio.to_thread(shop.place, "18")

    assert await outcome(shop, task) == {"parcel": "parcel-18"}
    assert warehouse.packed == ["18"]
    await eventually(lambda: warehouse.announced == ["18: parcel-18"])


async def test_an_order_may_wait(shop: ModuleType) -> None:
    placed = time.monotonic()
    task = await asyncio.to_thread(shop.place_later, "19", 1)

    assert await outcome(shop, task) == {"parcel": "parcel-19"}
    assert time.monotonic() - placed >= 1
    await eventually(lambda: warehouse.announced == ["19: parcel-19"])


async def test_stock_is_taken_each_night_at_three(shop: ModuleType) -> None:
    assert await asyncio.to_thread(shop.nightly) == {"stocktaking": "0 3"}


async def test_the_functions_are_plain_functions(shop: ModuleType) -> None:
    warehouse.packed.append("1")
    counted = shop.take_stock()
    assert (await counted if shop is after else counted) == {"packed": 1}


def test_the_manifest_is_that_of_the_code() -> None:
    assert MANIFEST.read_text() == after.service.manifest().text()
