"""FastStream subscribers whose messages are handled in asyncio tasks of their own, which outlive the channel.

FastStream starts, stops and documents a consumer; its parsers, middlewares and injection see no message.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Final, cast
from uuid import uuid4

from aio_pika.abc import (
    AbstractIncomingMessage,
    AbstractQueue,
    AbstractRobustChannel,
)
from aio_pika.exceptions import AMQPError
from aiormq import spec
from faststream.middlewares import AckPolicy
from faststream.rabbit import RabbitExchange, RabbitQueue
from faststream.rabbit.configs import RabbitBrokerConfig
from faststream.rabbit.subscriber import RabbitSubscriber
from faststream.rabbit.subscriber.config import RabbitSubscriberConfig

from waybill_worker.amqp import DirectConnection, Incoming
from waybill_worker.broker import (
    GOODBYE_SECONDS,
    UNREACHABLE,
    BrokerConnection,
    BrokerWait,
    Delivery,
    queue_stats,
    would_connect,
)
from waybill_worker.consume.acknowledgements import ChannelAcks
from waybill_worker.consume.specification import QueueSpecification, Schemas
from waybill_worker.observe import get_logger

log = get_logger(__name__)

#: Seconds between checks of the consumer, and how long it may be missing before the process gives up.
WATCH_SECONDS: Final = 2.0
MISSING_SECONDS: Final = 60.0
#: Seconds between questions to the broker whether messages wait for a consumer that got none meanwhile, and
#: the number of such answers in a row after which the process gives up.
CHECK_SECONDS: Final = 10.0
MOST_PASSED_OVER: Final = 3
#: Seconds for acknowledgements, and for messages that no drain has waited for, when a consumer stops.
SETTLE_SECONDS: Final = 1.0
#: Seconds between checks whether the messages that waited at the start are done.
CATCH_UP_SECONDS: Final = 0.05
#: Errors of the client when the channel is lost.
CHANNEL_GONE: Final = (AMQPError, RuntimeError)
#: Properties of a message that its sender may set.
_PROPERTIES: Final = (
    "app_id",
    "content_encoding",
    "content_type",
    "correlation_id",
    "message_id",
    "priority",
    "timestamp",
    "type",
)


class Consumer(RabbitSubscriber):
    """Consumes one queue, which another process declares, on a channel of its own."""

    def __init__(
        self,
        broker: BrokerConnection,
        queue: str,
        consume: Callable[[Delivery], Awaitable[None]],
        *,
        prefetch: int,
        reject_on_error: bool = True,
        description: str = "",
        schemas: Callable[[], Schemas] = dict,
    ) -> None:
        """A consumer, not yet started; `broker` starts and stops it with its other subscribers.

        Args:
            broker: the broker; its connection is used.
            queue: name of the queue.
            consume: called with each message; it acknowledges by itself.
            prefetch: messages in work at once.
            reject_on_error: a message for which `consume` raises goes to the dead-letter queue. False for a
                queue without one: the message stays unacknowledged, and comes again with the next connection.
            description: what the messages are for, in the AsyncAPI document.
            schemas: returns the schemas of their bodies, for the same document.
        """
        declared = RabbitQueue(queue, durable=True, declare=False)
        config = cast("RabbitBrokerConfig", broker.config)  # of which it is a view
        specification = QueueSpecification(config, declared, description, schemas)
        super().__init__(
            RabbitSubscriberConfig(
                queue=declared,
                exchange=RabbitExchange(),
                _ack_policy=AckPolicy.MANUAL,
                _outer_config=config,
            ),
            specification,
            specification.calls,
        )
        broker.add(self)
        self._broker = broker
        self._queue = queue
        self._consume = consume
        self._prefetch = prefetch
        self._reject_on_error = reject_on_error
        self._connection: DirectConnection | None = None
        self._channel: AbstractRobustChannel | None = None
        self._source: AbstractQueue | None = None
        self._tag: str | None = None
        self._acks: ChannelAcks | None = None
        self._broker_wait = BrokerWait()
        self._replacing: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._delivered = 0  # since the last check
        self._taken = 0  # in all
        self._passed_over = 0  # checks in a row

    async def start(self) -> None:
        """Begins to consume; the client does so again after each reconnect.

        Raises:
            aio_pika.exceptions.ChannelNotFoundEntity: there is no such queue yet.
            aio_pika.exceptions.AMQPError: the broker is away, or refuses the consumer.
        """
        self.running = True
        if self._tag is not None:
            return
        self._connection = cast("DirectConnection", await self._broker.connect())
        # The connection keeps its channels by weak references only.
        channel = self._channel = await self._connection.channel(publisher_confirms=False)
        tag = f"waybill.{uuid4().hex}"
        try:
            await channel.set_qos(prefetch_count=self._prefetch)
            self._source = await channel.declare_queue(self._queue, passive=True)
            self._tag = tag
            # Before there is a consumer: its first message may come with the answer.
            self._connection.take(tag, self._take)
            await self._source.consume(self.consume, consumer_tag=tag)
            await self._notice_cancels(channel)
        except BaseException:
            # This channel must not be reopened: the next start opens another.
            self._channel = self._source = self._tag = None
            self._connection.take_no_more(tag)
            await _close(channel)
            raise
        channel.reopen_callbacks.add(self._notice_cancels)

    async def begin(self) -> None:
        """Starts as soon as the broker and the queue are there."""
        await self._broker.wait.until(self.start)

    async def _notice_cancels(self, channel: AbstractRobustChannel | None) -> None:
        if channel is not None and channel is self._channel:
            underlay = await channel.get_underlay_channel()
            underlay.on_consumer_cancel_callbacks.add(self._on_cancelled)

    def _on_cancelled(self, cancelled: spec.Basic.Cancel) -> None:
        """Consumes again on another channel: the queue was deleted, or a message was held for too long.

        The client would do so on this channel, with its old tag. RabbitMQ 4.3 keeps the tag of a consumer
        that ran out of time, and closes the whole connection when the tag comes again.
        """
        if cancelled.consumer_tag and cancelled.consumer_tag == self._tag and self._channel is not None:
            log.warning("the broker has cancelled the consumer", queue=self._queue)
            self._tag, channel = None, self._channel
            if self._connection is not None:
                self._connection.take_no_more(cancelled.consumer_tag)
            self._replacing = asyncio.create_task(self._replace(channel), name="consume again")

    async def _replace(self, channel: AbstractRobustChannel) -> None:
        await _close(channel)
        try:
            await self._broker_wait.until(self.start)
        except UNREACHABLE:
            log.exception("cannot consume again", queue=self._queue)  # the watch ends the process

    async def caught_up(self, timeout_seconds: float) -> bool:
        """Waits until the messages that waited at its start are done, here or in another replica.

        Returns:
            Whether they are done in time.
        """
        waited = self._source.declaration_result.message_count or 0 if self._source else 0
        until = monotonic() + timeout_seconds
        while waited and (self._under_way or (self._taken < waited and await self._any_waits())):
            if monotonic() > until:
                return False
            await asyncio.sleep(CATCH_UP_SECONDS)
        return True

    @property
    def is_consuming(self) -> bool:
        """Whether the broker sends messages to it: a connection, or a channel, alone is not enough."""
        if self._channel is None or self._tag is None or self._passed_over >= MOST_PASSED_OVER:
            return False
        underlay: Any = getattr(self._channel, "_channel", None)  # there is no public way that is current
        return (
            not self._channel.is_closed and underlay is not None and self._tag in underlay.channel.consumers
        )

    async def stop(self) -> None:
        """Takes no more messages, and gives those under way a moment to end."""
        if self.running:
            self.running = False
            await self.cancel()
            await self.settle()

    async def cancel(self) -> None:
        """Asks the broker for no more messages; work on delivered ones goes on."""
        if self._replacing is not None:
            self._replacing.cancel()
            await asyncio.gather(self._replacing, return_exceptions=True)
        if self._source is None or self._tag is None:
            return
        tag, self._tag = self._tag, None
        if self._connection is None or not self._connection.connected.is_set():
            # The client would wait for the connection to come back.
            log.info("the broker is away and sends no more messages", queue=self._queue)
            return
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._source.cancel(tag)
        except TimeoutError:
            log.info("the broker does not confirm the end of the consumer", queue=self._queue)
        except CHANNEL_GONE as error:
            log.info("the consumer is gone already", error=error)
        finally:
            self._connection.take_no_more(tag)

    async def settle(self, timeout_seconds: float = SETTLE_SECONDS) -> int:
        """Waits for the messages under way and for their acknowledgements.

        Returns:
            How many messages were still in work; they will be delivered again.
        """
        late: set[asyncio.Task[None]] = set()
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=timeout_seconds)
        if self._acks is not None:
            self._acks.send()
        return len(late)

    async def watch(self) -> None:
        """Returns when the consumer is missing for too long, or gets no messages: then restart."""
        watches = [asyncio.create_task(self._watch_missing()), asyncio.create_task(self._watch_deaf())]
        try:
            await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    async def _watch_deaf(self) -> None:
        # The broker may count a consumer that it sends nothing to: RabbitMQ 3.10 does when a quorum queue is
        # deleted and declared again within milliseconds, and the client is not notified.
        while self._passed_over < MOST_PASSED_OVER:
            await asyncio.sleep(CHECK_SECONDS)
            self._passed_over = self._passed_over + 1 if await self._is_passed_over() else 0
        log.error("messages wait, but the broker sends none", queue=self._queue, checks=MOST_PASSED_OVER)

    async def _is_passed_over(self) -> bool:
        """Whether messages wait though there is room for some, and none came since the last check."""
        delivered, self._delivered = self._delivered, 0
        if delivered or len(self._under_way) >= self._prefetch or not self.is_consuming:
            return False
        stats = await queue_stats(self._broker, self._queue)
        return stats is not None and stats.waiting > 0 and self._delivered == 0

    async def _any_waits(self) -> bool:
        stats = await queue_stats(self._broker, self._queue)
        return stats is None or stats.waiting > 0

    async def _watch_missing(self) -> None:
        loop = asyncio.get_running_loop()
        seen = loop.time()
        while loop.time() - seen < MISSING_SECONDS:
            await asyncio.sleep(CHECK_SECONDS if self._is_lost else WATCH_SECONDS)
            if self.is_consuming or await self._is_away():
                seen = loop.time()
        log.error("not consuming, though it should", seconds=MISSING_SECONDS)

    @property
    def _is_lost(self) -> bool:
        return self._connection is not None and not self._connection.connected.is_set()

    async def _is_away(self) -> bool:
        """Whether the broker is away: then nothing can be consumed; the client reconnects by itself.

        A broker that refuses this process, for example after a change of password, is not away. The process
        that is started next logs the reason.
        """
        return self._is_lost and self._connection is not None and not await would_connect(self._connection)

    async def consume(self, msg: AbstractIncomingMessage) -> None:
        """What the client would call; the connection gives its messages to this consumer before that.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(f"message {msg.delivery_tag} did not come from the frame stream")

    def _take(self, message: Incoming) -> None:
        self._delivered += 1
        self._taken += 1
        # A task of our own: the client would cancel it with its channel, but work that has begun must go on.
        handling = asyncio.create_task(self._handle(message, self._acks_of(message)))
        self._under_way.add(handling)
        handling.add_done_callback(self._under_way.discard)

    async def _handle(self, message: Incoming, acks: ChannelAcks) -> None:
        properties = message.properties
        delivery = Delivery(
            message.body,
            properties.get("headers", {}),
            properties.get("correlation_id"),
            properties.get("priority"),
            Acknowledgement(acks, message.tag),
            {name: value for name, value in properties.items() if name in _PROPERTIES},
        )
        try:
            await self._consume(delivery)
        except Exception:
            log.exception("message cannot be handled", queue=self._queue, rejected=self._reject_on_error)
            if self._reject_on_error:
                acks.reject(message.tag)

    def _acks_of(self, message: Incoming) -> ChannelAcks:
        # Each channel has its own tags.
        if self._acks is None or self._acks.channel is not message.channel:
            self._acks = ChannelAcks(message.channel, message.write)
        self._acks.delivered(message.tag)
        return self._acks


async def _close(channel: AbstractRobustChannel) -> None:
    try:
        async with asyncio.timeout(GOODBYE_SECONDS):
            await channel.close()
    except (TimeoutError, *CHANNEL_GONE) as error:
        log.info("a channel could not be closed", error=error)


class Acknowledgement:
    """The acknowledgement of one delivery."""

    __slots__ = ("_acks", "_tag")

    def __init__(self, acks: ChannelAcks, tag: int) -> None:
        self._acks = acks
        self._tag = tag

    async def ack(self) -> None:
        """As `waybill_worker.broker.Acknowledger`."""
        self._acks.ack(self._tag)

    @property
    def is_lost(self) -> bool:
        """As `waybill_worker.broker.Acknowledger`."""
        return self._acks.channel.is_closed
