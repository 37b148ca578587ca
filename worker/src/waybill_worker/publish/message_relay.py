"""The relay: publishes the messages of an outbox, many in flight on one confirmed channel."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from waybill_contracts.wire import Envelope, trace_id_of
from waybill_worker.observe import get_logger, is_tracing
from waybill_worker.publish.message_spans import publish_span
from waybill_worker.publish.publisher import OutgoingMessage, Publisher, PublishError

log = get_logger(__name__)


class Relayed(Protocol):
    """A message of an outbox."""

    @property
    def outbox_id(self) -> int:
        """Its row."""

    @property
    def exchange(self) -> str:
        """Its exchange."""

    @property
    def routing_key(self) -> str:
        """Its routing key."""

    @property
    def envelope(self) -> Envelope:
        """Its headers."""

    @property
    def body(self) -> bytes:
        """Its event."""

    @property
    def correlation_id(self) -> str:
        """The caller's id of its request."""

    @property
    def priority(self) -> int | None:
        """Its AMQP priority."""


RelayedT = TypeVar("RelayedT", bound=Relayed)


async def relay(publisher: Publisher, message: Relayed) -> bool:
    """Publishes one message.

    Returns:
        Whether the broker confirmed it; without a confirm it may still have arrived.
    """
    try:
        with publish_span(message.exchange, message.routing_key, message.envelope) as envelope:
            await publisher.publish(_outgoing(message, envelope))
    except PublishError as error:
        _note_failure(message, error)
        return False
    return True


async def relay_all(publisher: Publisher, messages: Sequence[Relayed]) -> tuple[list[int], list[int]]:
    """Publishes many at once.

    Returns:
        The ids of the rows that the broker confirmed, and of those that it did not.
    """
    if is_tracing():
        # Each publish has a span of its own, and ends by itself.
        confirmed = await asyncio.gather(*(relay(publisher, message) for message in messages))
    else:
        errors = await publisher.publish_all([_outgoing(message, message.envelope) for message in messages])
        confirmed = [error is None for error in errors]
        for message, error in zip(messages, errors, strict=True):
            if error is not None:
                _note_failure(message, error)
    done: list[int] = []
    failed: list[int] = []
    for message, ok in zip(messages, confirmed, strict=True):
        (done if ok else failed).append(message.outbox_id)
    return done, failed


def relay_each(
    publisher: Publisher, messages: Sequence[RelayedT], answered: Callable[[RelayedT, bool], None]
) -> set[asyncio.Task[None]]:
    """Publishes many at once, without waiting.

    Args:
        publisher: publishes them.
        messages: rows of the outbox.
        answered: called for each as soon as its fate is known, with whether the broker has confirmed it; it
            must not raise.

    Returns:
        The asyncio tasks that publish, if spans are recorded: each publish has one, and ends by itself. The
        caller keeps them.
    """
    if is_tracing():

        async def traced(message: RelayedT) -> None:
            answered(message, await relay(publisher, message))

        return {asyncio.create_task(traced(message)) for message in messages}

    def told(position: int, error: PublishError | None) -> None:
        if error is not None:
            _note_failure(messages[position], error)
        answered(messages[position], error is None)

    publisher.publish_each([_outgoing(message, message.envelope) for message in messages], told)
    return set()


def _outgoing(message: Relayed, envelope: Envelope) -> OutgoingMessage:
    return OutgoingMessage(
        exchange=message.exchange,
        routing_key=message.routing_key,
        body=message.body,
        headers=envelope.to_headers(),
        correlation_id=message.correlation_id,
        priority=message.priority,
    )


def _note_failure(message: Relayed, error: PublishError) -> None:
    log.warning(
        "not published, it stays in the outbox",
        task_id=message.envelope.task_id,
        trace_id=trace_id_of(message.envelope.traceparent),
        error=error,
        once_a_minute=True,
    )
