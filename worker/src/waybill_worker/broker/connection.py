"""Connections to the broker: one that publishes, one that consumes.

There are two connections because the broker blocks publishing connections when it runs short of memory or
disk, and a consumer must still be able to acknowledge then.
"""

import asyncio
import random
from dataclasses import dataclass
from ssl import SSLContext

import aiormq
from aio_pika import RobustConnection
from aio_pika.abc import AbstractConnection
from faststream.rabbit import Channel, RabbitBroker
from faststream.security import BaseSecurity
from yarl import URL

from waybill_worker.broker.wait import GOING_AWAY, RECONNECT_SECONDS, refusal
from waybill_worker.observe import get_logger
from waybill_worker.runtime import ProcessSettings

log = get_logger(__name__)

#: Seconds for the broker to answer a question.
ANSWER_SECONDS = 10
#: Seconds for it to answer when a connection closes: it may hang, and a stopping process has little time.
GOODBYE_SECONDS = 3.0


def make_broker(settings: ProcessSettings, process: str, role: str) -> RabbitBroker:
    """A FastStream broker, not yet connected.

    Raises:
        ValueError: a file for TLS is wrong.

    Args:
        settings: where the broker is.
        process: name of the process, for the broker's list of connections.
        role: `publish` or `consume`, for the same list.
    """
    return RabbitBroker(
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


async def disconnect(*brokers: RabbitBroker) -> None:
    """Closes the connections. A broker that does not answer is not waited for."""
    await asyncio.gather(*map(_disconnect, brokers))


async def _disconnect(broker: RabbitBroker) -> None:
    # Its public way to the connection would connect.
    connection: AbstractConnection | None = getattr(broker, "_connection", None)
    try:
        async with asyncio.timeout(GOODBYE_SECONDS):
            # Before its channels: it must not connect again if something hangs.
            if connection is not None:
                await connection.close()
            await broker.stop()
    except TimeoutError:
        log.info("the broker does not answer the close of a connection")


def _tls(settings: ProcessSettings) -> SSLContext | None:
    return settings.amqp_files.context() if settings.uses_amqps else None


def _url(settings: ProcessSettings, name: str) -> URL:
    return URL(settings.amqp_url).update_query(heartbeat=settings.amqp_heartbeat_seconds, name=name)
