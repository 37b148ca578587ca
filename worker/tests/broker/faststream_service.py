"""A service for `faststream run faststream_service:make_app --factory`; its handler does what the text says.

It writes a line into the file that WAYBILL_TEST_EFFECTS names when it begins, and one when it ends.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from waybill_contracts.kinds import SyncRequested, UserCreated
from waybill_worker.attempt import Attempt, configured
from waybill_worker.consume import ServiceSettings, consumer
from waybill_worker.errors import PermanentError, TransientError
from waybill_worker.service import Service, application

#: Those of this process.
APPLICATIONS: list[Service] = []


def _note(line: str) -> None:
    with Path(os.environ["WAYBILL_TEST_EFFECTS"]).open("a") as effects:
        effects.write(f"{line}\n")


async def work(event: SyncRequested, attempt: Attempt) -> dict[str, Any]:
    """Do what the record is called."""
    _note(f"{event.id} begins")
    match event.id:
        case "retried" if attempt.attempt == 1:
            raise TransientError("busy")
        case "refused":
            raise PermanentError("never")
        case "slow":
            await asyncio.sleep(1)
        case "last":
            APPLICATIONS[0].exit()
    _note(f"{event.id} ends")
    return {"attempt": attempt.attempt}


async def welcome(event: UserCreated, attempt: Attempt) -> dict[str, Any]:
    """Note the new user."""
    del event, attempt
    return {}


def make(settings: ServiceSettings) -> Service:
    """Service `sync`."""
    return Service(
        "sync",
        settings,
        (configured(settings, SyncRequested, work), configured(settings, UserCreated, welcome)),
    )


def make_app() -> Service:
    """As FastStream's CLI calls it."""
    # A consumer that is gone ends the process soon.
    consumer.WATCH_SECONDS, consumer.MISSING_SECONDS = 0.1, 1.0  # type: ignore[misc] # for this process
    APPLICATIONS.append(application("sync", ServiceSettings, make))
    return APPLICATIONS[0]
