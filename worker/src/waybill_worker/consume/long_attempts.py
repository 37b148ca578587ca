"""Long attempts: their messages are acknowledged early, and go on from the inbox when a process dies."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import ClassVar, Final

from waybill_worker.attempt import Work
from waybill_worker.broker import Acknowledger, Delivery
from waybill_worker.inbox import KeptKey, KeptMessage, KeptMessages
from waybill_worker.publish import retry_until_success, retry_while_delivered
from waybill_worker.runtime import PeriodicTask

#: Most messages that one look takes up.
MOST_AT_ONCE: Final = 100


class LongAcknowledger:
    """Acknowledges a message twice: to the broker once the inbox has it, and to the inbox when all is done.

    Args:
        kept: the kept messages.
        key: of the message.
        broker: acknowledges it to the broker; None: the inbox has it already.
    """

    def __init__(self, kept: KeptMessages, key: KeptKey, broker: Acknowledger | None) -> None:
        self._kept = kept
        self.key = key
        self._broker = broker
        self._is_left = False

    @property
    def is_kept(self) -> bool:
        """Whether the inbox has the message, and the broker has not."""
        return self._broker is None

    @property
    def is_lost(self) -> bool:
        """Whether the broker delivers it again in any case; it does not once the inbox has it."""
        return self._broker is not None and self._broker.is_lost

    async def keep(self, delivery: Delivery) -> None:
        """Puts the message into the inbox, if it is not there yet, and acknowledges it to the broker.

        Raises:
            DeliveryLostError: the broker has taken the message back before.
        """
        if self._broker is not None:
            message = KeptMessage(delivery.body, delivery.headers, delivery.correlation_id, delivery.priority)
            await retry_while_delivered(delivery, "keep", partial(self._kept.keep, self.key, message))
            broker, self._broker = self._broker, None
            await broker.ack()

    def leave(self) -> None:
        """Leaves the message in the inbox: another process goes on with it, or this one does later."""
        self._is_left = self.is_kept

    async def ack(self) -> None:
        """Acknowledges it where it is; in the inbox however long that takes, because nobody else does."""
        if self._broker is not None:
            await self._broker.ack()
        elif not self._is_left:
            await retry_until_success("delete", partial(self._kept.delete, self.key))


class LongAttempts:
    """The deliveries of long attempts that this process works on.

    Args:
        kept: the kept messages.
    """

    def __init__(self, kept: KeptMessages) -> None:
        self._kept = kept
        self._under_way: set[KeptKey] = set()

    def begun(self, delivery: Delivery, work: Work) -> Delivery:
        """The delivery to work with; its acknowledger is a `LongAcknowledger` if the attempt is long."""
        acknowledger = delivery.acknowledger
        if not isinstance(acknowledger, LongAcknowledger):
            if not work.is_long:
                return delivery
            acknowledger = LongAcknowledger(self._kept, KeptKey.of(work.envelope), acknowledger)
        self._under_way.add(acknowledger.key)
        return replace(delivery, acknowledger=acknowledger)

    def ended(self, delivery: Delivery) -> None:
        """Nothing is done for the delivery any more."""
        if isinstance(delivery.acknowledger, LongAcknowledger):
            self._under_way.discard(delivery.acknowledger.key)

    async def left_over(self) -> list[Delivery]:
        """The messages in the inbox whose attempt nobody runs, as if they were delivered again."""
        return [
            Delivery(
                message.body,
                message.headers,
                message.correlation_id,
                message.priority,
                LongAcknowledger(self._kept, key, None),
            )
            for key, message in await self._kept.left_over(MOST_AT_ONCE)
            if key not in self._under_way
        ]


class Resumption(PeriodicTask):
    """Goes on with long attempts that nobody runs; each replica of a service looks for them.

    Args:
        long: finds them.
        resume: goes on with one, and does not wait for its end.
        every_seconds: between two looks.
    """

    NAME: ClassVar = "resumption of long attempts"

    def __init__(
        self, long: LongAttempts, resume: Callable[[Delivery], object], *, every_seconds: float
    ) -> None:
        super().__init__(every_seconds=every_seconds)
        self._long = long
        self._resume = resume

    async def _run_once(self) -> None:
        for delivery in await self._long.left_over():
            self._resume(delivery)
