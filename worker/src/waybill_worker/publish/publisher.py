"""The publish guard: the broker confirms a publish, or it raises.

All messages are persistent, mandatory and confirmed; nothing is declared. If a confirm does not come in time,
the fate of the message is unknown: publish again, the receiver's inbox drops the second copy.
"""

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

import aiormq
from aio_pika import DeliveryMode
from aio_pika.abc import AbstractChannel, AbstractRobustConnection
from aio_pika.exceptions import AMQPError, DeliveryError
from faststream.rabbit import RabbitBroker
from pamqp.commands import Basic

from waybill_contracts.wire import CONTENT_TYPE_EVENT


class PublishError(Exception):
    """The message is not known to be safe at the broker."""


class UnroutableError(PublishError):
    """The broker has no queue for it: the topology is incomplete."""


class UnconfirmedError(PublishError):
    """No confirm came, or the connection is lost: it is not known whether the message arrived."""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message and its destination."""

    exchange: str
    routing_key: str
    body: bytes
    headers: dict[str, Any] = field(default_factory=dict)
    content_type: str = CONTENT_TYPE_EVENT
    correlation_id: str | None = None
    #: On RabbitMQ 4's quorum queues 5 and more overtakes, from 4.3 on any above 0; older ones ignore it.
    priority: int | None = None


class Publisher:
    """Publishes over a connection that consumes nothing.

    Frames go directly to the client's channel: FastStream's and aio-pika's own ways to publish build each
    message twice and wait for the socket, which together cost more than the rest of a publish.
    """

    def __init__(self, broker: RabbitBroker, *, timeout_seconds: float) -> None:
        self._broker = broker
        self._timeout_seconds = timeout_seconds
        self._connection: AbstractRobustConnection | None = None
        self._channel: AbstractChannel | None = None
        # Returned messages are matched to their publish by this id, which only has to be unique.
        self._ids = map(f"{uuid4().hex}.{{:x}}".format, itertools.count())

    async def open_exchanges(self, *exchanges: str) -> None:
        """Opens the channel, and checks that exchanges exist: a publish to a missing one closes the channel.

        Raises:
            aio_pika.exceptions.ChannelNotFoundEntity: one is missing.
        """
        self._connection = await self._broker.connect()
        # A channel of its own for the checks: a missing exchange closes the channel.
        async with self._connection.channel() as asking:
            for name in exchanges:
                await asking.get_exchange(name)
        if self._channel is None:
            self._channel = await self._connection.channel(on_return_raises=True)

    @property
    def is_open(self) -> bool:
        """Whether the connection is open, as far as is known."""
        return (
            self._channel is not None
            and not self._channel.is_closed
            and self._connection is not None
            and self._connection.connected.is_set()
        )

    async def publish(self, message: OutgoingMessage) -> None:
        """Publishes a message and waits for the confirm.

        Raises:
            UnroutableError: no queue took it.
            UnconfirmedError: it is not known whether it arrived.
        """
        if self._channel is None or not self.is_open:
            raise UnconfirmedError("there is no connection to the broker")
        properties = Basic.Properties(
            headers=message.headers,
            content_type=message.content_type,
            correlation_id=message.correlation_id,
            priority=message.priority,
            message_id=next(self._ids),
            delivery_mode=DeliveryMode.PERSISTENT,
        )
        try:
            async with asyncio.timeout(self._timeout_seconds):
                channel = cast("aiormq.Channel", await self._channel.get_underlay_channel())
                await channel.basic_publish(
                    message.body,
                    exchange=message.exchange,
                    routing_key=message.routing_key,
                    properties=properties,
                    mandatory=True,
                    wait=False,  # the confirm is waited for, not the socket
                )
        except DeliveryError as error:
            raise UnroutableError(f"no queue for {message.exchange!r} {message.routing_key!r}") from error
        except TimeoutError as error:
            raise UnconfirmedError(f"no confirm within {self._timeout_seconds:g} s") from error
        except (AMQPError, OSError, RuntimeError) as error:
            # The client raises RuntimeError when the connection is lost during a publish.
            raise UnconfirmedError(f"the connection failed: {error}") from error
        except asyncio.CancelledError as error:
            # A stuck connection cancels the futures of its publishes; that does not cancel this task.
            task = asyncio.current_task()
            if task is not None and task.cancelling() > 0:
                raise
            raise UnconfirmedError("the connection was lost while publishing") from error
