"""Two gateways collect files on one ledger and one store: no accepted upload loses its file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update
from test_gateway_unused_files import ended, files, picture, upload

from waybill_database import Records
from waybill_gateway.files.collector import Collector
from waybill_ledger import ABANDONED_AFTER
from waybill_ledger.schema.tables import FILES
from waybill_testkit.gateway.in_process import Gateway, running
from waybill_worker.storage.object_store import ObjectStore


class HeldUp(ObjectStore):
    """A store that a collector is held up at, before or after a call of this name."""

    held_at: str = ""
    before = False

    def watch(self, call: str, *, before: bool) -> None:
        self.held_at, self.before = call, before
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def delete_under(self, prefix: str) -> None:
        await self._hold("delete_under", before=True)
        await super().delete_under(prefix)
        await self._hold("delete_under", before=False)

    async def delete(self, key: str) -> None:
        await self._hold("delete", before=True)
        await super().delete(key)

    async def _hold(self, call: str, *, before: bool) -> None:
        if (call, before) == (self.held_at, self.before):
            self.reached.set()
            await self.go_on.wait()


@pytest.fixture
async def gateway(tmp_path: Path, ledger_url: str) -> AsyncIterator[Gateway]:
    async with running(tmp_path, ledger_url=ledger_url) as started:
        yield started


@asynccontextmanager
async def slow_collector(gateway: Gateway, call: str, *, before: bool) -> AsyncIterator[HeldUp]:
    """Another gateway's, which has begun to remove what there is and is held up."""
    records = Records(gateway.resources.settings.ledger_url)
    store = HeldUp.from_url(f"file://{gateway.folder}/objects")
    store.watch(call, before=before)
    collecting = asyncio.create_task(Collector(records, store).collect(datetime.now(UTC)))
    await asyncio.wait_for(store.reached.wait(), 30)
    yield store
    store.go_on.set()
    await collecting
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

    async with slow_collector(gateway, "delete_under", before=True):
        assert await collected(gateway) == 0
        uploading = asyncio.create_task(upload(gateway, picture()))
        await asyncio.wait([uploading], timeout=0.3)

    assert await is_whole(gateway, await uploading)


async def test_a_collector_whose_mark_was_taken_over_leaves_the_file_that_was_uploaded_anew(
    gateway: Gateway,
) -> None:
    await upload(gateway, picture())
    await ended(gateway)

    async with slow_collector(gateway, "delete_under", before=False):
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

    async with slow_collector(gateway, "delete", before=True):
        silent_for_long(gateway)
        assert await collected(gateway) == 1
        await upload(gateway, picture())

    errors = [line for line in capsys.readouterr().out.splitlines() if "removed so slowly" in line]
    assert len(errors) == 1
    assert row["key"] in errors[0]


async def test_a_collector_that_is_told_to_stop_leaves_no_marks_behind(gateway: Gateway) -> None:
    await upload(gateway, picture())
    await ended(gateway)
    store = HeldUp.from_url(f"file://{gateway.folder}/objects")
    store.watch("delete_under", before=True)
    collecting = asyncio.create_task(Collector(gateway.resources.records, store).collect(datetime.now(UTC)))
    await asyncio.wait_for(store.reached.wait(), 30)

    collecting.cancel()
    store.go_on.set()
    await asyncio.gather(collecting, return_exceptions=True)

    assert await gateway.rows(FILES) == []
    assert files(gateway) == []
