"""Control messages of a service: a cancelled task is recorded, then its handlers are stopped."""

from collections.abc import Callable

from pydantic import ValidationError

from waybill_contracts.wire import CancelRequested
from waybill_worker.broker import Delivery
from waybill_worker.inbox import Inbox
from waybill_worker.observe import get_logger
from waybill_worker.publish import DeliveryLostError, retry_while_delivered

log = get_logger(__name__)


class Control:
    """Handles the control messages of one service."""

    def __init__(self, inbox: Inbox, stop_task: Callable[[str], int]) -> None:
        self._inbox = inbox
        self._stop_task = stop_task

    async def consume(self, delivery: Delivery) -> None:
        """Handles one message; it is acknowledged once the cancellation is recorded.

        Raises:
            ValidationError: it cannot be read, and goes to the dead-letter queue.
        """
        try:
            request = CancelRequested.model_validate_json(delivery.body)
        except ValidationError:
            log.exception("control message cannot be read")
            raise
        try:
            # First the record, then the handlers: a handler that begins in between finds the record.
            await retry_while_delivered(delivery, "cancel", lambda: self._inbox.cancel(request.task_id))
            stopped = self._stop_task(request.task_id)
            log.info("task cancelled", task_id=request.task_id, handlers_stopped=stopped)
            await delivery.acknowledger.ack()
        except DeliveryLostError:
            log.info("the connection was lost; the message will be delivered again", once_a_minute=True)
