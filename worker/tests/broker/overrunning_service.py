"""A service in a process of its own whose handler overruns its time limits, in the way that is asked for.

Arguments: the file for its effects, and the way: `cooperative`, `deaf`, `stuck`, `blocking`, or `thread` or
`process` for a plain handler. Only the first attempt at an image whose key ends with `late` overruns;
everything else is done at once. The rest comes from the environment, as for any service.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from waybill_contracts.kinds.images import ImageUploaded
from waybill_worker.attempt.attempt import Attempt, AttemptFacts
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.attempt.sync_attempt import SyncAttempt
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.observe.logs import configure_logging
from waybill_worker.runtime.process import run
from waybill_worker.service import Service

#: Seconds, longer than any test waits: a handler that still runs then is noticed.
FOR_EVER = 3600.0


async def overrun(way: str) -> None:
    """Takes for ever: until it is asked to stop, is cut off, whatever happens, or without an await."""
    if way == "blocking":
        time.sleep(FOR_EVER)  # noqa: ASYNC251 - this is what is tested
    try:
        await asyncio.sleep(FOR_EVER)
    except asyncio.CancelledError:
        if way == "cooperative":
            raise
        while True:
            try:
                await asyncio.sleep(FOR_EVER)
            except asyncio.CancelledError:
                if way == "deaf":
                    raise


def note(what: str, attempt: AttemptFacts) -> None:
    """An effect."""
    with Path(sys.argv[1]).open("a") as file:
        file.write(f"{attempt.task_id} {attempt.attempt} {what}\n")


def handle_plainly(event: ImageUploaded, attempt: SyncAttempt) -> dict[str, Any]:
    """The handler in a thread or a process."""
    note("began", attempt)
    if event.source_key.endswith("late") and attempt.attempt == 1:
        time.sleep(FOR_EVER)
    note("did it", attempt)
    return {"by": os.getpid()}


def make(way: str) -> Service:
    """Service `images`."""

    async def handle(event: ImageUploaded, attempt: Attempt) -> dict[str, Any]:
        note("began", attempt)
        try:
            if event.source_key.endswith("late") and attempt.attempt == 1:
                await overrun(way)
        except asyncio.CancelledError as stopped:
            note(f"cleaned up after {stopped.args[0]}", attempt)
            raise
        note("did it", attempt)
        return {"by": os.getpid()}

    settings = ServiceSettings()
    if way in {"thread", "process"}:
        plain = configured(settings, ImageUploaded, handle_plainly, processes=way == "process")
        return Service("images", settings, (plain,))
    return Service("images", settings, (configured(settings, ImageUploaded, handle),))


if __name__ == "__main__":
    configure_logging("images", level="info", format_="json")
    run(lambda: make(sys.argv[2]), stop_seconds=ServiceSettings().stop_seconds)
