"""Payloads that wait at the broker: in dead-letter queues, `unrouted` and the delay ladder."""

from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Final

from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from waybill_cli.broker.connection import ANSWER_SECONDS, connected_broker, find_queue
from waybill_cli.checking import Waiting
from waybill_cli.session import Setting
from waybill_contracts.kinds import CATALOG, STATUS_SERVICE, WORK_SERVICES
from waybill_contracts.wire import Envelope, EnvelopeError, names

#: How the name of a work queue ends, as the last words of a routing key on the delay ladder.
_QUEUE_END: Final = names.work_queue("")


async def waiting_at_broker(
    url: Setting, most: int, on_partly: Callable[[str, int], None]
) -> AsyncIterator[Waiting]:
    """Reads waiting messages and returns them to their queues.

    Each message is taken, and returned when the channel of its queue is closed. The broker counts that as a
    delivery; these queues allow a million. Work queues are left out: they allow ten.

    Args:
        url: the broker.
        most: messages read from one queue at most.
        on_partly: called with the name and size of each queue that holds more.
    """
    async with connected_broker(url) as connection:
        for name in await _names(connection):
            queue = await find_queue(connection, name)
            if queue is None:
                continue
            for _ in range(min(most, queue.declaration_result.message_count or 0)):
                message = await queue.get(no_ack=False, fail=False, timeout=ANSWER_SECONDS)
                if message is None:
                    break
                for waiting in _waiting(name, message):
                    yield waiting
            await queue.channel.close()
            if (held := queue.declaration_result.message_count or 0) > most:
                on_partly(name, held)


async def _names(connection: AbstractConnection) -> list[str]:
    found = [names.dead_letter_queue(service) for service in (*WORK_SERVICES, STATUS_SERVICE)]
    found.append(names.QUEUE_UNROUTED)
    for level in count():
        queue = await find_queue(connection, names.delay_exchange(level))
        if queue is None:
            return found
        await queue.channel.close()
        found.append(queue.name)
    return found


def _waiting(queue: str, message: AbstractIncomingMessage) -> list[Waiting]:
    """The message, once for each service that will read it."""
    try:
        envelope = Envelope.from_headers(message.headers)
    except EnvelopeError:
        # A lifecycle event, or a message without an envelope: no contract to check.
        return []
    return [
        Waiting(queue, envelope.task_id, service, envelope.kind, envelope.dataschema, message.body)
        for service in _readers(queue, message, envelope.kind)
    ]


def _readers(queue: str, message: AbstractIncomingMessage, kind: str) -> tuple[str, ...]:
    for service in WORK_SERVICES:
        if queue == names.dead_letter_queue(service):
            return (service,)
        if (message.routing_key or "").endswith(f".{service}{_QUEUE_END}"):
            return (service,)
    return CATALOG[kind].services if kind in CATALOG else ("nobody",)
