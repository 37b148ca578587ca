"""Files go when no task refers to them, and never from under an upload."""

import asyncio
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pyvips
from sqlalchemy import update

from waybill_contracts.files import results_of
from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_gateway.files.collector import Collector
from waybill_gateway.files.storing import UNTOUCHED_FOR
from waybill_ledger import (
    ABANDONED_AFTER,
    Mark,
    PruneStep,
    Removal,
    apply_events,
    delete_removed,
    mark_unused,
    prune_tasks,
)
from waybill_ledger.schema.tables import FILES, TASKS
from waybill_testkit.eventually import eventually
from waybill_testkit.gateway.in_process import Gateway, problem
from waybill_testkit.samples import reported

LATER = timedelta(seconds=1) + UNTOUCHED_FOR


def picture(width: int = 30) -> bytes:
    made: bytes = pyvips.Image.black(width, 20, bands=3).write_to_buffer(".png")
    return made


async def upload(gateway: Gateway, content: bytes, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    files = {"file": ("photo.png", io.BytesIO(content))}
    return await gateway.client.post("/v1/images", files=files, headers=headers)


async def ended(gateway: Gateway, *, variants: bool = False) -> None:
    """All tasks are completed, with or without files in their results, and they are pruned."""
    rows = await gateway.rows(TASKS)
    for row in rows if variants else ():
        await gateway.resources.objects.put(b"variant", prefix=results_of(row["id"]))
    with gateway.resources.records.engine.begin() as connection:
        for row in rows:
            event = reported(
                LifecycleType.COMPLETED,
                row["id"],
                service="images",
                kind="image.uploaded",
                has_files=variants or None,
            )
            apply_events(connection, [event])
        # It is published; nobody here has a broker.
        connection.exec_driver_sql("DELETE FROM outbox")
        now = datetime.now(UTC)
        connection.execute(update(TASKS).values(completed_at=now - timedelta(days=1), created_at=now))
        prune_tasks(connection, [PruneStep(State.COMPLETED, now, now, 100)])


def files(gateway: Gateway) -> list[Path]:
    return [path for path in (gateway.folder / "objects").rglob("*") if path.is_file()]


async def collected(gateway: Gateway, after: timedelta = LATER) -> int:
    collector = Collector(gateway.resources.records, gateway.resources.objects)
    return await collector.collect(datetime.now(UTC) + after - UNTOUCHED_FOR)


async def marked(gateway: Gateway, ago: timedelta = timedelta(0)) -> Mark:
    """The mark of the only file, made by a collector that goes no further."""
    now = datetime.now(UTC)
    [mark] = await gateway.resources.records.write(mark_unused, Removal(now, now - ago, 10))
    return mark


async def test_an_upload_and_results_go_once_their_last_task_is_forgotten(gateway: Gateway) -> None:
    await upload(gateway, picture())
    await ended(gateway, variants=True)
    assert len(files(gateway)) == 2

    assert await collected(gateway, after=timedelta(0)) == 0
    assert await collected(gateway) == 2

    assert files(gateway) == []
    assert await gateway.rows(FILES) == []


async def test_a_file_that_another_task_refers_to_stays(gateway: Gateway) -> None:
    await upload(gateway, picture())
    await ended(gateway, variants=True)
    await upload(gateway, picture())

    assert await collected(gateway) == 1
    assert len(files(gateway)) == 1


async def test_the_file_of_a_refused_repeat_goes_and_that_of_the_first_call_stays(gateway: Gateway) -> None:
    assert (await upload(gateway, picture(30), "k")).status_code == 202
    assert (await upload(gateway, picture(40), "k")).status_code == 422
    assert len(files(gateway)) == 2

    assert await collected(gateway) == 1
    assert len(files(gateway)) == 1


async def test_an_upload_waits_for_a_removal_and_stores_the_file_anew(gateway: Gateway) -> None:
    await upload(gateway, picture())
    await ended(gateway)
    mark = await marked(gateway)

    uploading = asyncio.create_task(upload(gateway, picture()))
    await asyncio.wait([uploading], timeout=0.3)
    assert not uploading.done()
    await gateway.resources.objects.delete(mark.key)
    await gateway.resources.records.write(delete_removed, mark)

    assert (await uploading).status_code == 202
    assert await gateway.resources.objects.exists(mark.key)
    assert await collected(gateway) == 0


async def test_an_upload_is_told_to_come_again_where_a_removal_does_not_end(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waybill_gateway.files.storing.PAUSE_SECONDS", 0.001)
    await upload(gateway, picture())
    await ended(gateway)
    await marked(gateway, ago=ABANDONED_AFTER)

    answer = await upload(gateway, picture())

    problem(answer, 503, "file_being_removed")
    assert answer.headers["Retry-After"] == "10"
    # Another collector ends what the first one began.
    assert await collected(gateway) == 1
    assert (await upload(gateway, picture())).status_code == 202


async def is_forgotten(gateway: Gateway) -> bool:
    return not await gateway.rows(FILES)


async def test_a_folder_that_refuses_a_removal_is_told_and_tried_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("waybill_gateway.files.collector.CHECK_SECONDS", 0.01)
    monkeypatch.setattr("waybill_gateway.files.collector.UNTOUCHED_FOR", timedelta(0))
    await upload(gateway, picture())
    await ended(gateway, variants=True)
    variants = gateway.folder / "objects" / "results"
    kept = variants.rename(gateway.folder / "kept")
    [folder] = kept.iterdir()
    variants.mkdir()
    (variants / folder.name).write_bytes(b"where a folder should be")
    collector = Collector(gateway.resources.records, gateway.resources.objects)

    collector.start()
    try:
        await eventually(lambda: "failed for now" in capsys.readouterr().out)
        (variants / folder.name).unlink()
        kept.rename(variants)
        long_ago = datetime.now(UTC) - 2 * ABANDONED_AFTER
        with gateway.resources.records.engine.begin() as connection:
            connection.execute(update(FILES).values(touched_at=long_ago))
        await eventually(lambda: is_forgotten(gateway))
    finally:
        await collector.stop()

    assert files(gateway) == []


async def test_uploads_and_removals_at_once_never_leave_a_task_without_its_file(gateway: Gateway) -> None:
    contents = [picture(30 + number) for number in range(3)]
    for content in contents:
        await upload(gateway, content)
    await ended(gateway)
    answers, _ = await asyncio.gather(
        asyncio.gather(*(upload(gateway, content) for content in contents * 3)),
        asyncio.gather(*(collected(gateway) for _ in range(3))),
    )

    assert {answer.status_code for answer in answers} == {202}
    for row in await gateway.rows(FILES):
        assert await gateway.resources.objects.exists(row["key"]), row
    assert [row["tasks"] for row in await gateway.rows(FILES)] == [3, 3, 3]
