"""A service in a process of its own, for tests that kill it: its effect is a line in a file.

Arguments: the file, and its way: `hang`, `finish`, `wait` (for a file with the ending `end`, and notes that
too), or `poison` (the task of this name kills the process).
The rest comes from the environment, as for any service.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from waybill_contracts.kinds.images import ImageUploaded
from waybill_testkit.eventually import eventually
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.service import Service, run_service

#: Seconds of work: long enough that the poison finds others at work when it acts.
WORK_SECONDS = 0.1


def _note(effects: Path, attempt: Attempt) -> None:
    with effects.open("a") as file:
        file.write(f"{attempt.task_id} {attempt.attempt} {os.getpid()}\n")


def make(settings: ServiceSettings) -> Service:
    """Service `images`, whose one handler writes that it began, and then goes its way."""
    effects, way = Path(sys.argv[1]), sys.argv[2]

    async def write(_event: ImageUploaded, attempt: Attempt) -> dict[str, Any]:
        _note(effects, attempt)
        if way == "hang":
            await asyncio.Event().wait()
        if way == "wait":
            await eventually(effects.with_suffix(".end").exists, seconds=60)
            _note(effects, attempt)
        if attempt.task_id == way:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(WORK_SECONDS)
        return {"by": os.getpid()}

    return Service("images", settings, (configured(settings, ImageUploaded, write),))


if __name__ == "__main__":
    run_service("images", ServiceSettings, make)
