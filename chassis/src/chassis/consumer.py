"""The consuming side of the connection: FastStream delivers raw messages, the pipeline does the rest."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue

from chassis.delivery import Delivery
from chassis.logs import get_logger

log = get_logger(__name__)

#: Seconds between looks at the consumer, and for how long it may be missing before the process gives up.
WATCH_SECONDS: Final = 2.0
MISSING_SECONDS: Final = 60.0


class Consumer:
    """Consumes one queue, which exists already."""

    def __init__(
        self,
        broker: RabbitBroker,
        queue: str,
        consume: Callable[[Delivery], Awaitable[None]],
        *,
        prefetch: int,
    ) -> None:
        self._broker = broker
        self._consume = consume
        self._connection: AbstractConnection | None = None
        self._subscriber = broker.subscriber(
            RabbitQueue(queue, declare=False),
            channel=Channel(prefetch_count=prefetch),
            # The pipeline acknowledges. What it could not even begin with goes to the dead-letter queue.
            ack_policy=AckPolicy.REJECT_ON_ERROR,
            decoder=_undecoded,
            no_reply=True,
        )
        self._subscriber(self._on_message)

    def attach(self, connection: AbstractConnection) -> None:
        """Tells it the connection that it will consume on."""
        self._connection = connection

    @property
    def is_consuming(self) -> bool:
        """Whether the broker really sends us messages: a connection alone, or a channel, is not enough."""
        queue = self._subscriber._queue_obj  # noqa: SLF001 - FastStream tells its tag nowhere else
        tag = self._subscriber._consumer_tag  # noqa: SLF001 - as above
        if queue is None or tag is None:
            return False
        channel: Any = queue.channel
        underlay = getattr(channel, "_channel", None)
        return not channel.is_closed and underlay is not None and tag in underlay.channel.consumers

    async def cancel(self) -> None:
        """Asks the broker for no more messages; those that came already are worked on."""
        queue = self._subscriber._queue_obj  # noqa: SLF001 - `stop()` would drop what still arrives
        tag = self._subscriber._consumer_tag  # noqa: SLF001 - as above
        if queue is None or tag is None:
            return
        self._subscriber._consumer_tag = None  # noqa: SLF001 - or `stop()` cancels it a second time
        try:
            await queue.cancel(tag)
        except (AMQPError, ChannelInvalidStateError, RuntimeError) as error:
            log.info("the consumer is gone already", error=str(error))

    async def watch(self) -> None:
        """Returns when the consumer has been missing for too long: then only a new process helps."""
        loop = asyncio.get_running_loop()
        seen = loop.time()
        while loop.time() - seen < MISSING_SECONDS:
            await asyncio.sleep(WATCH_SECONDS)
            # While the broker is away there is nothing to consume; the connection comes back by itself.
            away = self._connection is not None and not self._connection.connected.is_set()
            if away or self.is_consuming:
                seen = loop.time()
        log.error("not consuming, though it should", seconds=MISSING_SECONDS)

    async def _on_message(self, _body: bytes) -> None:
        message: RabbitMessage = self._broker.context.get_local("message")
        raw = message.raw_message
        await self._consume(
            Delivery(raw.body, raw.headers, raw.correlation_id, raw.priority, _Acknowledger(message))
        )


async def start_consuming(broker: RabbitBroker, *consumers: Consumer) -> None:
    """Begins to consume, with all consumers of a broker."""
    connection = await broker.connect()
    for consumer in consumers:
        consumer.attach(connection)
    await broker.start()


class _Acknowledger:
    def __init__(self, message: RabbitMessage) -> None:
        self._message = message

    async def ack(self) -> None:
        try:
            await self._message.ack()
        except (AMQPError, ChannelInvalidStateError, RuntimeError) as error:
            log.info("acknowledgement lost; the message will be delivered again", error=str(error))

    @property
    def is_lost(self) -> bool:
        try:
            return self._message.raw_message.channel.is_closed
        except ChannelInvalidStateError:
            return True


async def _undecoded(message: RabbitMessage) -> bytes:
    return message.body
