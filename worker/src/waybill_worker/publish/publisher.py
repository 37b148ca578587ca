"""The publish guard: a publish either is confirmed by the broker, or raises.

Everything is persistent, mandatory and confirmed; nothing is declared on the way. A confirm that does not
come in time leaves the message's fate unknown: publish again, the receiver's inbox drops the second copy.
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

from waybill_contracts.wire.names import CONTENT_TYPE_EVENT


class PublishError(Exception):
    """The message is not known to be safe at the broker."""


class UnroutableError(PublishError):
    """The broker has no queue for it: the topology is not what it should be."""


class UnconfirmedError(PublishError):
    """No confirm came, or the connection is lost: it may be there, or not."""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message and where it goes."""

    exchange: str
    routing_key: str
    body: bytes
    headers: dict[str, Any] = field(default_factory=dict)
    content_type: str = CONTENT_TYPE_EVENT
    correlation_id: str | None = None
    #: 5 and more overtakes on RabbitMQ 4's quorum queues, from 4.3 on any above 0; earlier take no notice.
    priority: int | None = None


class Publisher:
    """Publishes over a connection that consumes nothing.

    Frames go straight to the client's channel: FastStream's and aio-pika's own ways to publish build each
    message twice and wait for the socket after each, which together cost more than all else of a publish.
    """

    def __init__(self, broker: RabbitBroker, *, timeout_seconds: float) -> None:
        self._broker = broker
        self._timeout_seconds = timeout_seconds
        self._connection: AbstractRobustConnection | None = None
        self._channel: AbstractChannel | None = None
        # Returned messages are matched to their publish by their id alone; unique is all that it must be.
        self._ids = map(f"{uuid4().hex}.{{:x}}".format, itertools.count())

    async def open_exchanges(self, *exchanges: str) -> None:
        """Opens the channel, and makes sure that exchanges are there: a publish to a missing one closes it.

        Raises:
            aio_pika.exceptions.ChannelNotFoundEntity: one is missing.
        """
        self._connection = await self._broker.connect()
        # A channel of its own for the questions: a wrong answer costs the channel.
        async with self._connection.channel() as asking:
            for name in exchanges:
                await asking.get_exchange(name)
        if self._channel is None:
            self._channel = await self._connection.channel(on_return_raises=True)

    @property
    def is_open(self) -> bool:
        """Whether the connection is up, as far as is known."""
        return (
            self._channel is not None
            and not self._channel.is_closed
            and self._connection is not None
            and self._connection.connected.is_set()
        )

    async def publish(self, message: OutgoingMessage) -> None:
        """Publishes and waits for the confirm.

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
            # RuntimeError: what the client raises when the connection goes away under a publish.
            raise UnconfirmedError(f"the connection failed: {error}") from error
        except asyncio.CancelledError as error:
            # A stuck connection cancels the futures of its publishes; only a real cancellation counts as one.
            task = asyncio.current_task()
            if task is not None and task.cancelling() > 0:
                raise
            raise UnconfirmedError("the connection was lost while publishing") from error
