"""A handler that reports progress and spawns tasks, as a service of somebody else would have.

It is the sync service's own handler of records; for each record of one resource it also submits more records.
"""

from functools import wraps
from typing import Any, Final

from tests.crash.places import owner_of
from waybill_contracts.kinds import SyncRequested
from waybill_worker.attempt import Attempt

#: The handler of records, where the service's definition finds it.
HANDLER: Final = "waybill_sync.handlers:sync_record"
#: The resource whose records spawn others.
SPAWNING: Final = "spawning"
#: Tasks that each of them spawns.
CHILDREN: Final = 2


def install() -> None:
    """Puts the handler in the place of the service's own; to be called before the service is imported."""
    owner, name = owner_of(HANDLER)
    sync_record = getattr(owner, name)

    @wraps(sync_record)
    async def spawning_record(event: SyncRequested, attempt: Attempt, *adapters: Any) -> Any:
        if event.resource == SPAWNING:
            for number in range(CHILDREN):
                attempt.submit(child_of(event, number))
            await attempt.progress(0.5, "submitted; the record is next")
        return await sync_record(event, attempt, *adapters)

    setattr(owner, name, spawning_record)


def child_of(event: SyncRequested, number: int) -> SyncRequested:
    """One of the records that a record spawns."""
    return event.model_copy(update={"resource": "crash", "id": f"{event.id}-{number}"})
