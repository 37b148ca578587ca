"""The publish guard: a publish either is confirmed by the broker, or raises.

Everything is persistent, mandatory and confirmed; nothing is declared on the way. A confirm that does not
come in time leaves the message's fate unknown: publish again, the receiver's inbox drops the second copy.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from aio_pika.exceptions import AMQPError, DeliveryError
from faststream.exceptions import IncorrectState
from faststream.rabbit import RabbitBroker, RabbitExchange

from contracts.names import CONTENT_TYPE_EVENT


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
    #: 5 and more overtakes on RabbitMQ 4's quorum queues; earlier versions take no notice.
    priority: int | None = None


class Publisher:
    """Publishes over a connection that consumes nothing."""

    def __init__(self, broker: RabbitBroker, *, timeout_seconds: float) -> None:
        self._broker = broker
        self._timeout_seconds = timeout_seconds
        self._exchanges: dict[str, RabbitExchange] = {}

    async def know(self, *exchanges: str) -> None:
        """Resolves exchanges once, before the first publish: a look-up in between would risk the channel."""
        for name in exchanges:
            exchange = RabbitExchange(name, declare=False)
            await self._broker.declare_exchange(exchange)
            self._exchanges[name] = exchange
        self._exchanges[""] = RabbitExchange("")

    @property
    def is_open(self) -> bool:
        """Whether the connection is up, as far as is known."""
        channel = self._broker._channel  # noqa: SLF001 - FastStream tells it nowhere else
        return channel is not None and not channel.is_closed

    async def publish(self, message: OutgoingMessage) -> None:
        """Publishes and waits for the confirm.

        Raises:
            UnroutableError: no queue took it.
            UnconfirmedError: it is not known whether it arrived.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._broker.publish(
                    message.body,
                    exchange=self._exchanges[message.exchange],
                    routing_key=message.routing_key,
                    headers=message.headers,
                    content_type=message.content_type,
                    correlation_id=message.correlation_id,
                    priority=message.priority,
                    # Returned messages are matched to their publish by this id alone.
                    message_id=uuid4().hex,
                    persist=True,
                    mandatory=True,
                )
        except DeliveryError as error:
            raise UnroutableError(f"no queue for {message.exchange!r} {message.routing_key!r}") from error
        except TimeoutError as error:
            raise UnconfirmedError(f"no confirm within {self._timeout_seconds:g} s") from error
        except (AMQPError, OSError, RuntimeError, IncorrectState) as error:
            # RuntimeError: what the client raises when the connection goes away under a publish.
            raise UnconfirmedError(f"the connection failed: {error}") from error
        except asyncio.CancelledError as error:
            # A stuck connection cancels the futures of its publishes; only a real cancellation counts as one.
            task = asyncio.current_task()
            if task is not None and task.cancelling() > 0:
                raise
            raise UnconfirmedError("the connection was lost while publishing") from error
