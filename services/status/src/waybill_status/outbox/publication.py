"""Publishing rows that were taken out of the outbox, and telling the ledger what came of it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from waybill_database import Records
from waybill_ledger import PendingMessage, forget_swept, put_back
from waybill_worker.observe.logs import get_logger
from waybill_worker.publish.publisher import Publisher
from waybill_worker.publish.relay import relay_all

log = get_logger(__name__)

#: Messages in flight to the broker at once.
MOST_AT_ONCE: Final = 500
#: For how long rows that were taken are nobody else's; well above the time that a publish may take.
TAKEN_FOR: Final = timedelta(seconds=60)
#: When rows whose publish failed are looked at again.
AFTER_FAILURE: Final = timedelta(seconds=1)


async def publish_taken(records: Records, publisher: Publisher, taken: Sequence[PendingMessage]) -> int:
    """Publishes rows that were taken; those that the broker does not confirm are the sweep's a second later.

    Returns:
        How many the broker confirmed.
    """
    published = 0
    for begin in range(0, len(taken), MOST_AT_ONCE):
        confirmed, failed = await relay_all(publisher, taken[begin : begin + MOST_AT_ONCE])
        published += len(confirmed)
        if confirmed:
            await records.write(forget_swept, (confirmed, records.now()))
            log.info("published out of the outbox", published=len(confirmed), failed=len(failed))
        if not confirmed:
            # The broker is away: the rest would only wait in vain.
            failed = [message.outbox_id for message in taken[begin:]]
        if failed:
            await records.write(put_back, (failed, records.now() + AFTER_FAILURE))
        if not confirmed:
            break
    return published
