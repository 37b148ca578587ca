"""Two gateways collect files on one ledger and one store: no accepted upload loses its file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from test_gateway_unused_files import ended, files, picture, upload

from waybill_database import Records
from waybill_gateway.files.collector import Collector
from waybill_ledger import ABANDONED_AFTER, renew_marks
from waybill_ledger.schema.tables import FILES
from waybill_testkit.gateway.in_process import Gateway, running
from waybill_worker.object_store.store import ObjectStore


class Hold:
    """A place at which a collector is held up."""

    def __init__(self, place: str) -> None:
        self._place = place
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def at(self, place: str) -> None:
        if place == self._place:
            self.reached.set()
            await self.go_on.wait()


class HeldStore(ObjectStore):
    """A store that a collector is held up at, before it deletes."""

    hold: Hold

    async def delete(self, key: str) -> None:
        await self.hold.at("delete")
        await super().delete(key)


class HeldRecords(Records):
    """A ledger that a collector is held up at, before it renews its mark."""

    hold: Hold

    async def write(self, write: Any, item: Any, **how: Any) -> Any:
        if write is renew_marks:
            await self.hold.at("renew")
        return await super().write(write, item, **how)


@pytest.fixture
async def gateway(tmp_path: Path, ledger_url: str) -> AsyncIterator[Gateway]:
    async with running(tmp_path, ledger_url=ledger_url) as started:
        yield started


@asynccontextmanager
async def slow_collector(gateway: Gateway, place: str) -> AsyncIterator[asyncio.Task[int]]:
    """Another gateway's, which has marked what there is, and is held up until the end of the block."""
    hold = Hold(place)
    records = HeldRecords(gateway.resources.settings.ledger_url)
    store = HeldStore.from_url(f"file://{gateway.folder}/objects")
    records.hold = store.hold = hold
    collecting = asyncio.create_task(Collector(records, store).collect(datetime.now(UTC)))
    await asyncio.wait_for(hold.reached.wait(), 30)
    yield collecting
    hold.go_on.set()
    await asyncio.gather(collecting, return_exceptions=True)
    await records.close()


async def collected(gateway: Gateway) -> int:
    collector = Collector(gateway.resources.records, gateway.resources.objects)
    return await collector.collect(datetime.now(UTC))


def silent_for_long(gateway: Gateway) -> None:
    """The mark that is there has not been renewed for so long that another may take it over."""
    ago = datetime.now(UTC) - ABANDONED_AFTER - timedelta(seconds=1)
    with gateway.resources.records.engine.begin() as connection:
        connection.execute(update(FILES).values(touched_at=ago))


async def is_whole(gateway: Gateway, answer: httpx.Response) -> bool:
    """Whether the upload was accepted, and is there."""
    assert answer.status_code == 202
    [row] = await gateway.rows(FILES)
    return row["tasks"] == 1 and await gateway.resources.objects.exists(row["key"])


async def test_a_file_that_one_collector_removes_is_not_removed_again_by_another(gateway: Gateway) -> None:
    await upload(gateway, picture())
    await ended(gateway)

    async with slow_collector(gateway, "renew"):
        assert await collected(gateway) == 0
        uploading = asyncio.create_task(upload(gateway, picture()))
        await asyncio.wait([uploading], timeout=0.3)

    assert await is_whole(gateway, await uploading)


async def test_a_collector_whose_mark_was_taken_over_leaves_the_file_that_was_uploaded_anew(
    gateway: Gateway,
) -> None:
    await upload(gateway, picture())
    await ended(gateway)

    async with slow_collector(gateway, "renew"):
        silent_for_long(gateway)
        assert await collected(gateway) == 1
        assert files(gateway) == []
        answer = await upload(gateway, picture())

    assert await is_whole(gateway, answer)


async def test_a_deletion_that_takes_longer_than_its_mark_lasts_is_told_as_an_error(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    await upload(gateway, picture())
    await ended(gateway)
    [row] = await gateway.rows(FILES)

    async with slow_collector(gateway, "delete"):
        silent_for_long(gateway)
        assert await collected(gateway) == 1
        await upload(gateway, picture())

    errors = [line for line in capsys.readouterr().out.splitlines() if "removed so slowly" in line]
    assert len(errors) == 1
    assert row["key"] in errors[0]


async def test_a_collector_that_is_told_to_stop_leaves_no_marks_behind(gateway: Gateway) -> None:
    await upload(gateway, picture())
    await ended(gateway)

    async with slow_collector(gateway, "renew") as collecting:
        collecting.cancel()

    assert await gateway.rows(FILES) == []
    assert files(gateway) == []
