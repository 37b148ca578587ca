"""Storing an upload, so that a task can be accepted with it whatever happens meanwhile."""

import asyncio
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import BinaryIO, Final

from waybill_database import Records
from waybill_gateway.http import Problem
from waybill_gateway.runtime import Resources
from waybill_ledger import Touch, record_stored, touch_files
from waybill_worker.storage import content_key

#: For how long a file stays that no task refers to: a repeated upload need not be stored again, and a caller
#: has enough time until its task is accepted.
UNTOUCHED_FOR: Final = timedelta(days=1)
#: A file that is being removed is gone in a moment: checks of an upload for that, and seconds between two.
TRIES, PAUSE_SECONDS = 40, 0.05


async def store_file(resources: Resources, prefix: str, file: BinaryIO, sha256: str) -> tuple[str, datetime]:
    """Stores an upload; it is durable, and tasks may use it, when this returns.

    Args:
        resources: the gateway's.
        prefix: of its key, `uploads_of(tenant)`.
        file: open for reading, at its first byte.
        sha256: of its content.

    Returns:
        Its key, and when it expires unless a task uses it.

    Raises:
        Problem: 503, an older copy of the file is being removed, and that does not end in time.
        StoreUnavailable: the object store is away, or refuses us.
    """
    key = content_key(sha256, prefix=prefix)
    records = resources.records
    await _keep(records, key)
    await resources.objects.put_file(file, sha256, prefix=prefix)
    now = records.now()
    if not await records.write(record_stored, Touch(key, now)):
        raise _being_removed()
    return key, now + UNTOUCHED_FOR


async def _keep(records: Records, key: str) -> None:
    """Makes sure that a file, stored or not yet, is not removed before a task uses it."""
    for _ in range(TRIES):
        if await records.write(touch_files, Touch(key, records.now())):
            return
        await asyncio.sleep(PAUSE_SECONDS)
    raise _being_removed()


def _being_removed() -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "file_being_removed",
        "An older copy of this file is being removed. Upload it again in a moment.",
        headers={"Retry-After": "10"},
    )
