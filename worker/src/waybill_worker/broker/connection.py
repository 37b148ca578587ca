"""Connections to the broker: one that publishes, one that consumes.

Two connections, because the broker blocks publishing connections when it runs short of memory or disk, and a
consumer must still be able to acknowledge then.
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
from waybill_worker.observe.logs import get_logger
from waybill_worker.runtime.settings import ProcessSettings

log = get_logger(__name__)

#: Seconds for the broker to answer a question.
ANSWER_SECONDS = 10
#: Seconds for it to answer a goodbye: it may hang, and a process that stops has only its grace time.
GOODBYE_SECONDS = 3.0


def make_broker(settings: ProcessSettings, process: str, role: str) -> RabbitBroker:
    """A FastStream broker, not yet connected.

    Raises:
        ValueError: the files for TLS are not what they should be.

    Args:
        settings: where the broker is.
        process: who connects, as the broker's list of connections shows it.
        role: `publish` or `consume`, shown there too.
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
    """What the broker tells of a queue."""

    #: Messages that wait for a consumer, not counting those that have been delivered.
    waiting: int
    consumers: int


async def queue_stats(broker: RabbitBroker, queue: str) -> QueueStats | None:
    """Asks the broker about `queue`; None if it cannot tell now: it is away, or has no such queue.

    It may be asked by who has any right to the queue, reading it for example (decision 21).
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
        log.info("the broker does not tell of a queue", queue=queue, error=error, once_a_minute=True)
    except asyncio.CancelledError:
        # As in `Publisher.publish`: a stuck connection cancels what waits for it. Ours is raised below.
        log.info(
            "the broker does not tell of a queue",
            queue=queue,
            error="the connection is stuck",
            once_a_minute=True,
        )
    task = asyncio.current_task()
    if task is not None and task.cancelling() > 0:
        # Also where the client made something else of it: a caller that was told to end must end.
        raise asyncio.CancelledError
    return seen


async def would_connect(connection: RobustConnection) -> bool:
    """Whether the broker of a connection that is lost is there, be it that it refuses this process."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            tried = await aiormq.connect(connection.url, context=connection.kwargs.get("context"))
            await tried.close()
    except GOING_AWAY as error:
        return refusal(error) is not None
    return True


async def disconnect(*brokers: RabbitBroker) -> None:
    """Closes the connections. A broker that does not answer is left without a goodbye."""
    await asyncio.gather(*map(_hang_up, brokers))


async def _hang_up(broker: RabbitBroker) -> None:
    # Told nowhere else without connecting, if it never was.
    connection: AbstractConnection | None = getattr(broker, "_connection", None)
    try:
        async with asyncio.timeout(GOODBYE_SECONDS):
            # Before its channels: whatever hangs then, it will not connect again.
            if connection is not None:
                await connection.close()
            await broker.stop()
    except TimeoutError:
        log.info("the broker does not answer a goodbye")


def _tls(settings: ProcessSettings) -> SSLContext | None:
    return settings.amqp_files.context() if settings.uses_amqps else None


def _url(settings: ProcessSettings, name: str) -> URL:
    return URL(settings.amqp_url).update_query(heartbeat=settings.amqp_heartbeat_seconds, name=name)
