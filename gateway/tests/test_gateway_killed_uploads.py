"""A gateway that is killed during an upload leaves no task without its file, and nothing for good."""

import asyncio
import hashlib
import json
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uploading_process
from uploading_process import CONTENT, STEPS

from waybill_gateway.files.collector import Collector
from waybill_ledger import Accepted, FilesMissing, Submission, accept
from waybill_ledger.schema.tables import FILES, TASK_FILES
from waybill_testkit.bucket import Bucket
from waybill_testkit.gateway.in_process import Gateway, running
from waybill_testkit.machine.forked import ForkedProcess
from waybill_testkit.samples import new_task

SHA256 = hashlib.sha256(CONTENT).hexdigest()
KEY = f"files/default/{SHA256[:2]}/{SHA256}"


@pytest.fixture(params=["file", "s3"])
def settings(request: pytest.FixtureRequest, ledger_url: str) -> dict[str, Any]:
    bucket: Bucket | None = request.getfixturevalue("bucket") if request.param == "s3" else None
    return {"ledger_url": ledger_url} | ({} if bucket is None else bucket.settings())


async def killed(folder: Path, settings: dict[str, Any], step: str) -> None:
    """A gateway has come as far as this step, and was killed."""
    process = ForkedProcess(Path(uploading_process.__file__), folder, json.dumps(settings), step)
    assert await asyncio.to_thread(process.wait) == -signal.SIGKILL


async def accepted(gateway: Gateway) -> object:
    """The answer to a task that refers to the file."""
    return await gateway.resources.records.write(accept, Submission(replace(new_task(), files=(KEY,))))


async def state(gateway: Gateway) -> tuple[list[tuple[int, bool]], bool]:
    """Of each row its tasks, and whether it says that the file is stored; whether the store has it."""
    rows = [(row["tasks"], row["stored_at"] is not None) for row in await gateway.rows(FILES)]
    return rows, await gateway.resources.objects.exists(KEY)


LEFT: dict[str, tuple[list[tuple[int, bool]], bool]] = {
    "receiving": ([], False),
    "touched": ([(0, False)], False),
    "stored": ([(0, False)], True),
    "recorded": ([(0, True)], True),
    "accepted": ([(1, True)], True),
}


@pytest.mark.parametrize("step", STEPS)
async def test_a_killed_upload_leaves_no_task_without_its_file_and_nothing_for_good(
    tmp_path: Path, settings: dict[str, Any], step: str
) -> None:
    await killed(tmp_path, settings, step)
    async with running(tmp_path, **settings) as gateway:
        assert await state(gateway) == LEFT[step]
        collector = Collector(gateway.resources.records, gateway.resources.objects)
        assert await collector.collect(datetime.now(UTC) + timedelta(seconds=1)) == (
            1 if step in {"touched", "stored", "recorded"} else 0
        )
        if step == "accepted":
            assert await state(gateway) == LEFT[step]
        else:
            assert await state(gateway) == ([], False)
            assert await accepted(gateway) == FilesMissing((KEY,))


@pytest.mark.parametrize("step", STEPS)
async def test_a_killed_upload_is_repeated_and_its_task_accepted(
    tmp_path: Path, settings: dict[str, Any], step: str
) -> None:
    await killed(tmp_path, settings, step)
    async with running(tmp_path, **settings) as gateway:
        before = await accepted(gateway)
        assert isinstance(before, Accepted) == (step in {"recorded", "accepted"})

        answer = await gateway.client.post("/v1/files", content=CONTENT)
        assert (answer.status_code, answer.json()["key"]) == (201, KEY)
        assert isinstance(await accepted(gateway), Accepted)

        assert await gateway.resources.objects.get(KEY) == CONTENT
        tasks = await gateway.count(TASK_FILES)
        assert await state(gateway) == ([(tasks, True)], True)
        collector = Collector(gateway.resources.records, gateway.resources.objects)
        assert await collector.collect(datetime.now(UTC) + timedelta(days=9)) == 0
