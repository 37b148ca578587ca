"""Publishes taken rows of the outbox, and records the results in the ledger."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from waybill_database import Records
from waybill_ledger import PendingMessage, delete_swept, put_back
from waybill_worker.observe import get_logger
from waybill_worker.publish import Publisher, relay_all

log = get_logger(__name__)

#: Messages in flight to the broker at once.
MOST_AT_ONCE: Final = 500
#: How long taken rows are reserved; well above the time of a publish.
TAKEN_FOR: Final = timedelta(seconds=60)
#: Pause before rows with a failed publish are taken again.
AFTER_FAILURE: Final = timedelta(seconds=1)


async def publish_taken(records: Records, publisher: Publisher, taken: Sequence[PendingMessage]) -> int:
    """Publishes taken rows; unconfirmed ones become available again a second later.

    Returns:
        Number of rows that the broker confirmed.
    """
    published = 0
    for begin in range(0, len(taken), MOST_AT_ONCE):
        confirmed, failed = await relay_all(publisher, taken[begin : begin + MOST_AT_ONCE])
        published += len(confirmed)
        if confirmed:
            await records.write(delete_swept, (confirmed, records.now()))
            log.info("published out of the outbox", published=len(confirmed), failed=len(failed))
        if not confirmed:
            # The broker is away: the others would fail, too.
            failed = [message.outbox_id for message in taken[begin:]]
        if failed:
            await records.write(put_back, (failed, records.now() + AFTER_FAILURE))
        if not confirmed:
            break
    return published
