"""The publish guard: the broker confirms a publish, or it raises.

All messages are persistent, mandatory and confirmed; nothing is declared. If a confirm does not come in time,
the fate of the message is unknown: publish again, the receiver's inbox drops the second copy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from aio_pika.abc import AbstractRobustChannel
from faststream.rabbit import RabbitBroker

from waybill_contracts.wire import CONTENT_TYPE_EVENT
from waybill_worker.amqp import Confirms, DirectConnection, ReturnedError, publish_frames


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

    Args:
        broker: whose connection it is.
        timeout_seconds: for each confirm.
    """

    def __init__(self, broker: RabbitBroker, *, timeout_seconds: float) -> None:
        self._broker = broker
        self._timeout_seconds = timeout_seconds
        self._connection: DirectConnection | None = None
        self._channel: AbstractRobustChannel | None = None
        self._confirms: Confirms | None = None

    async def open_exchanges(self, *exchanges: str) -> None:
        """Opens the channel, and checks that exchanges exist: a publish to a missing one closes the channel.

        Raises:
            aio_pika.exceptions.ChannelNotFoundEntity: one is missing.
        """
        self._connection = cast("DirectConnection", await self._broker.connect())
        # A channel of its own for the checks: a missing exchange closes the channel.
        async with self._connection.channel() as asking:
            for name in exchanges:
                await asking.get_exchange(name)
        if self._channel is None:
            channel = await self._connection.channel()
            channel.reopen_callbacks.add(self._opened)
            await self._opened(channel)
            self._channel = channel

    async def _opened(self, channel: AbstractRobustChannel | None) -> None:
        if channel is not None and self._connection is not None:
            underlay = await channel.get_underlay_channel()
            self._confirms = self._connection.confirms_of(underlay, self._timeout_seconds)

    @property
    def is_open(self) -> bool:
        """Whether the connection is open, as far as is known."""
        return self._confirms is not None and self._confirms.is_open

    async def publish(self, message: OutgoingMessage) -> None:
        """Publishes a message and waits for the confirm.

        Raises:
            UnroutableError: no queue took it.
            UnconfirmedError: it is not known whether it arrived.
        """
        (error,) = await self.publish_all((message,))
        if error is not None:
            raise error

    async def publish_all(self, messages: Sequence[OutgoingMessage]) -> Sequence[PublishError | None]:
        """Publishes messages at once, and waits for all confirms.

        Returns:
            The error of each message, as `publish` raises it; None: it is confirmed.
        """
        if self._confirms is None or not self._confirms.is_open:
            return [UnconfirmedError("there is no connection to the broker") for _ in messages]
        batch = self._confirms.publish(messages, _frames)
        await batch.answered
        return [
            None if error is None else _described(message, error)
            for message, error in zip(messages, batch.errors, strict=True)
        ]

    def publish_each(
        self, messages: Sequence[OutgoingMessage], answered: Callable[[int, PublishError | None], None]
    ) -> None:
        """Publishes messages at once, without waiting.

        Args:
            messages: in their order.
            answered: called for each as soon as it is confirmed or has failed, with its place among them and
                its error; it must not raise.
        """
        if self._confirms is None or not self._confirms.is_open:
            for position in range(len(messages)):
                answered(position, UnconfirmedError("there is no connection to the broker"))
            return

        def described(position: int, error: Exception | None) -> None:
            answered(position, None if error is None else _described(messages[position], error))

        self._confirms.publish_each(messages, _frames, described)


def _described(message: OutgoingMessage, error: Exception) -> PublishError:
    if isinstance(error, ReturnedError):
        return UnroutableError(f"no queue for {message.exchange!r} {message.routing_key!r}")
    return UnconfirmedError(str(error))


def _frames(message: OutgoingMessage, message_id: str, channel: int, largest_body: int) -> bytes:
    return publish_frames(
        channel,
        largest_body,
        message.body,
        exchange=message.exchange,
        routing_key=message.routing_key,
        headers=message.headers,
        message_id=message_id,
        content_type=message.content_type,
        correlation_id=message.correlation_id,
        priority=message.priority,
    )
