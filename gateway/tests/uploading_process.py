"""Uploads a file to a gateway in this process, accepts a task with it, and is killed after a named step."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from waybill_database import Records
from waybill_ledger import Submission, accept
from waybill_testkit.gateway.in_process import running
from waybill_testkit.samples import new_task
from waybill_worker.object_store import ObjectStore

CONTENT = b"what the caller uploads" * 100_000
#: In their order.
STEPS = ("receiving", "touched", "stored", "recorded", "accepted")


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("killed")


def arm(step: str) -> None:
    """Has the process killed right after this step."""
    put_file, write = ObjectStore.put_file, Records.write

    async def put_and_die(store: ObjectStore, *args: Any, **options: Any) -> str:
        if step == "touched":
            die()
        key = await put_file(store, *args, **options)
        if step == "stored":
            die()
        return key

    async def write_and_die(records: Records, function: Any, item: Any, **options: Any) -> Any:
        done = await write(records, function, item, **options)
        if {"recorded": "record_stored", "accepted": "accept"}.get(step) == function.__name__:
            die()
        return done

    ObjectStore.put_file = put_and_die  # type: ignore[method-assign, assignment] # to die there
    Records.write = write_and_die  # type: ignore[method-assign, assignment] # to die there


async def body(step: str) -> AsyncIterator[bytes]:
    yield CONTENT[:1_000_000]
    if step == "receiving":
        die()
    yield CONTENT[1_000_000:]


async def main(folder: Path, settings: dict[str, Any], step: str) -> None:
    arm(step)
    async with running(folder, **settings) as gateway:
        answer = await gateway.client.post("/v1/files", content=body(step))
        task = replace(new_task(), files=(answer.json()["key"],))
        await gateway.resources.records.write(accept, Submission(task))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]))
