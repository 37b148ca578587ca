"""What is done with lifecycle events: into the ledger, and alerts for what failed, in one transaction."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from chassis.logs import get_logger
from contracts.lifecycle import LifecycleEvent
from database import BatchWrite, Records
from ledger import Failure, NewTask, apply_events, insert_tasks

log = get_logger(__name__)

#: Makes the alert for a failure, if there is to be one.
Alert = Callable[[Failure, datetime], NewTask | None]
ApplyBatches = BatchWrite[Sequence[LifecycleEvent], None]


def batch_write(alert: Alert) -> ApplyBatches:
    """The write that applies many messages' events at once; made once, so that its calls share commits."""
    return partial(_apply, alert)


async def apply_lifecycle(events: Sequence[LifecycleEvent], records: Records, write: ApplyBatches) -> None:
    """Applies one message's events; they are committed when this returns."""
    await records.write(write, events)


def _apply(
    alert: Alert, connection: Connection, batches: Sequence[Sequence[LifecycleEvent]]
) -> Sequence[None]:
    merged = apply_events(connection, (event for batch in batches for event in batch))
    now = datetime.now(UTC)
    alerts = [alert(failure, now) for failure in merged.failures]
    insert_tasks(connection, [task for task in alerts if task is not None])
    for task_id in merged.unknown:
        log.warning("lifecycle events of a task that the ledger does not know", task_id=task_id)
    return [None] * len(batches)
