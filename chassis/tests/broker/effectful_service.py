"""A service in a process of its own, for tests that kill it: its effect is a line in a file.

Arguments: the file, and `hang` or `finish`. The rest comes from the environment, as for any service.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from chassis.attempt import Attempt
from chassis.logs import configure_logging
from chassis.policies import configured
from chassis.process import run
from chassis.service import Service
from chassis.settings import ServiceSettings
from contracts.events import ImageUploaded


def make(effects: Path, *, hang: bool) -> Service:
    """Service `images`, whose one handler writes that it began, and then hangs or ends."""

    async def write(_event: ImageUploaded, attempt: Attempt) -> dict[str, Any]:
        with effects.open("a") as file:
            file.write(f"{attempt.task_id} {attempt.attempt} {os.getpid()}\n")
        if hang:
            await asyncio.Event().wait()
        return {"by": os.getpid()}

    settings = ServiceSettings()
    return Service("images", settings, (configured(settings, ImageUploaded, write),))


if __name__ == "__main__":
    configure_logging("images", level="info", format_="json")
    run(lambda: make(Path(sys.argv[1]), hang=sys.argv[2] == "hang"))
