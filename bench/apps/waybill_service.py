"""`python -m bench.apps.waybill_service`: Waybill's sync service, its adapter replaced by the measured work.

Pipeline, inbox, reporter and all else are those of every service.
"""

import asyncio
import os
from functools import partial
from typing import Any, Final

from bench.kit.stamps import Stamps
from waybill_contracts.kinds import SyncRequested, UserCreated
from waybill_worker.attempt import Attempt, configured
from waybill_worker.consume import ServiceSettings
from waybill_worker.runtime import start
from waybill_worker.service import Service

#: The environment variable with the seconds that the work waits, as one does that calls the outside; none.
WAIT_VARIABLE: Final = "BENCH_WAIT_SECONDS"


async def sync_record(
    event: SyncRequested, attempt: Attempt, stamps: Stamps, wait_seconds: float
) -> dict[str, Any]:
    """The work."""
    del attempt
    stamps.begin(int(event.id))
    if wait_seconds:
        await asyncio.sleep(wait_seconds)
    return {"done": True}


async def sync_user(event: UserCreated, attempt: Attempt) -> dict[str, Any]:
    """The other kind of the service, which is not posted here."""
    raise ValueError(f"no user is created in a measurement: {event.user_id} {attempt.task_id}")


def make_service(settings: ServiceSettings) -> Service:
    """The service, not yet started."""
    work = partial(
        sync_record,
        stamps=Stamps.from_environment(),
        wait_seconds=float(os.environ.get(WAIT_VARIABLE, "0")),
    )
    return Service(
        "sync",
        settings,
        (configured(settings, SyncRequested, work), configured(settings, UserCreated, sync_user)),
    )


if __name__ == "__main__":
    start("sync", ServiceSettings, make_service)
