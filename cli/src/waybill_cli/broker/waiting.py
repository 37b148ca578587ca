"""Payloads that wait at the broker: in dead-letter queues, `unrouted` and the delay ladder."""

from collections.abc import AsyncIterator, Callable, Iterable
from itertools import count
from typing import Final

from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from waybill_cli.broker.connection import ANSWER_SECONDS, connected_broker, find_queue
from waybill_cli.checking import Waiting
from waybill_cli.session import Setting
from waybill_contracts.kinds import STATUS_SERVICE
from waybill_contracts.wire import Envelope, EnvelopeError, names

#: How the names of queues end; that of a work queue is also the end of a routing key on the delay ladder.
_WORK: Final = names.work_queue("")
_DEAD: Final = names.dead_letter_queue("")


async def waiting_at_broker(
    url: Setting, services: Iterable[str], most: int, on_partly: Callable[[str, int], None]
) -> AsyncIterator[Waiting]:
    """Reads waiting messages and returns them to their queues.

    Each message is taken, and returned when the channel of its queue is closed. The broker counts that as a
    delivery; these queues allow a million. Work queues are left out: they allow ten.

    Args:
        url: the broker.
        services: names of services; their dead-letter queues and that of the status service are read.
        most: messages read from one queue at most.
        on_partly: called with the name and size of each queue that holds more.
    """
    async with connected_broker(url) as connection:
        for name in await _names(connection, services):
            queue = await find_queue(connection, name)
            if queue is None:
                continue
            for _ in range(min(most, queue.declaration_result.message_count or 0)):
                message = await queue.get(no_ack=False, fail=False, timeout=ANSWER_SECONDS)
                if message is None:
                    break
                if (waiting := _waiting(name, message)) is not None:
                    yield waiting
            await queue.channel.close()
            if (held := queue.declaration_result.message_count or 0) > most:
                on_partly(name, held)


async def _names(connection: AbstractConnection, services: Iterable[str]) -> list[str]:
    found = [names.dead_letter_queue(service) for service in (*services, STATUS_SERVICE)]
    found.append(names.QUEUE_UNROUTED)
    for level in count():
        queue = await find_queue(connection, names.delay_exchange(level))
        if queue is None:
            return found
        await queue.channel.close()
        found.append(queue.name)
    return found


def _waiting(queue: str, message: AbstractIncomingMessage) -> Waiting | None:
    try:
        envelope = Envelope.from_headers(message.headers)
    except EnvelopeError:
        # A lifecycle event, or a message without an envelope: no contract to check.
        return None
    service = _reader(queue, message.routing_key or "")
    return Waiting(queue, envelope.task_id, service, envelope.kind, envelope.dataschema, message.body)


def _reader(queue: str, routing_key: str) -> str:
    """The service that will read a message: it waits for one, or came astray on the way to one."""
    for name in (queue, routing_key):
        for end in (_DEAD, _WORK):
            if name.endswith(end):
                return name.removesuffix(end).rpartition(".")[2]
    return "nobody"
