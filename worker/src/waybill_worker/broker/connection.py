"""Connections to the broker: one that publishes, one that consumes.

There are two connections because the broker blocks publishing connections when it runs short of memory or
disk, and a consumer must still be able to acknowledge then.
"""

import asyncio
import random
from dataclasses import dataclass
from ssl import SSLContext
from types import TracebackType

import aiormq
from aio_pika import RobustConnection
from faststream.rabbit import Channel, RabbitBroker
from faststream.rabbit.broker.registrator import RabbitRegistrator
from faststream.rabbit.subscriber import RabbitSubscriber
from faststream.security import BaseSecurity
from yarl import URL

from waybill_worker.amqp import DirectConnection
from waybill_worker.broker.wait import GOING_AWAY, RECONNECT_SECONDS, BrokerWait, refusal
from waybill_worker.observe import get_logger
from waybill_worker.runtime import ProcessSettings

log = get_logger(__name__)

#: Seconds for the broker to answer a question.
ANSWER_SECONDS = 10
#: Seconds for it to answer when a connection closes: it may hang, and a stopping process has little time.
GOODBYE_SECONDS = 3.0


class BrokerConnection(RabbitBroker):
    """FastStream's broker on one connection; it waits for RabbitMQ at its start, and for nobody at its stop.

    Args:
        settings: where RabbitMQ is.
        process: name of the process, for RabbitMQ's list of connections.
        role: `publish` or `consume`, for the same list.

    Attributes:
        wait: the wait for RabbitMQ.

    Raises:
        ValueError: a file for TLS is wrong.
    """

    def __init__(self, settings: ProcessSettings, process: str, role: str) -> None:
        super().__init__(
            str(_url(settings, f"{process} {role}")),
            security=BaseSecurity(_tls(settings)),
            # A message that no queue takes raises at its publisher instead of vanishing.
            default_channel=Channel(on_return_raises=True),
            reconnect_interval=random.uniform(*RECONNECT_SECONDS),  # noqa: S311 - spreads load, guards nothing
            # Handlers take bytes: FastStream's own parsing and injection would cost more than the work.
            apply_types=False,
            logger=None,
            app_id=process,
        )
        # FastStream gives these to the client, and has no parameter for the class of its connections.
        self._connection_kwargs["connection_class"] = DirectConnection
        self.wait = BrokerWait()

    def add(self, subscriber: RabbitSubscriber) -> None:
        """Registers a subscriber of a class of our own; `subscriber` makes and registers FastStream's."""
        super(RabbitRegistrator, self).subscriber(subscriber)

    async def start(self) -> None:
        """Connects, and starts the subscribers: each as soon as RabbitMQ and its queue are there.

        Unlike FastStream's start, which fails if RabbitMQ is away, and asks for a queue of replies.
        """
        await self.wait.until(self.connect)
        for subscriber in self.subscribers:
            await self.wait.until(subscriber.start)
        for publisher in self.publishers:
            await publisher.start()
        self.running = True

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        """Stops the subscribers and closes the connection; does not wait for a RabbitMQ that hangs."""
        try:
            # Those have time limits of their own.
            await super(RabbitRegistrator, self).stop(exc_type, exc_val, exc_tb)
        finally:
            await self._disconnect()

    async def _disconnect(self) -> None:
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                # Before its channels: it must not connect again if something hangs.
                if self._connection is not None:
                    await self._connection.close()
                await super().stop()
        except TimeoutError:
            log.info("the broker does not answer the close of a connection")
            # Not asked again.
            self._connection = self._channel = None


@dataclass(frozen=True, slots=True)
class QueueStats:
    """The state of a queue at the broker."""

    #: Messages that wait for a consumer, not counting those that have been delivered.
    waiting: int
    consumers: int


async def queue_stats(broker: RabbitBroker, queue: str) -> QueueStats | None:
    """Asks the broker for the state of `queue`; None if it is away, or has no such queue.

    Any permission on the queue is enough, reading it for example (decision 21).
    """
    seen: QueueStats | None = None
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            connection = await broker.connect()
            # A channel of its own: asking for a queue that is missing closes it.
            async with connection.channel() as channel:
                asked = await channel.declare_queue(queue, passive=True, robust=False)
                answer = asked.declaration_result
                seen = QueueStats(answer.message_count or 0, answer.consumer_count or 0)
    except GOING_AWAY as error:
        log.info("the broker gives no state of a queue", queue=queue, error=error, once_a_minute=True)
    except asyncio.CancelledError:
        # As in `Publisher.publish`: a stuck connection cancels what waits for it. A real one is raised below.
        log.info(
            "the broker gives no state of a queue",
            queue=queue,
            error="the connection is stuck",
            once_a_minute=True,
        )
    task = asyncio.current_task()
    if task is not None and task.cancelling() > 0:
        # Also where the client turned it into another error: a caller that was cancelled must end.
        raise asyncio.CancelledError
    return seen


async def would_connect(connection: RobustConnection) -> bool:
    """Whether the broker of a lost connection is there, even if it refuses this process."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            tried = await aiormq.connect(connection.url, context=connection.kwargs.get("context"))
            await tried.close()
    except GOING_AWAY as error:
        return refusal(error) is not None
    return True


def _tls(settings: ProcessSettings) -> SSLContext | None:
    return settings.amqp_files.context() if settings.uses_amqps else None


def _url(settings: ProcessSettings, name: str) -> URL:
    return URL(settings.amqp_url).update_query(heartbeat=settings.amqp_heartbeat_seconds, name=name)
