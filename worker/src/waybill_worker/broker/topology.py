"""The whole broker topology, derived from the catalog, and its declaration.

All arguments are given for every RabbitMQ version, so that no queue depends on a version's defaults. One
process declares it all (the status service, at start and after every reconnect); the others wait for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel

from waybill_contracts.kinds import STATUS_SERVICE, WORK_SERVICES, kinds_of
from waybill_contracts.wire import names
from waybill_worker.broker.delay_ladder import LEVELS, level_bindings

#: Deliveries of one message after which it counts as one that kills its consumers.
WORK_DELIVERY_LIMIT: Final = 10
#: Messages that only wait may be read often; versions differ in how "unlimited" is written.
WAITING_DELIVERY_LIMIT: Final = 1_000_000

_QUORUM: Final = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}
_AT_LEAST_ONCE: Final = {"x-dead-letter-strategy": "at-least-once"}
_UNROUTED_IF_UNWANTED: Final = {"alternate-exchange": names.QUEUE_UNROUTED}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange."""

    name: str
    type: ExchangeType
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable queue; its arguments cannot be changed once it exists."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Binding:
    """From an exchange to a queue, or to another exchange."""

    source: str
    key: str
    target: str
    target_is_exchange: bool = False


def exchanges() -> Iterator[Exchange]:
    """Every exchange."""
    # No alternate exchange here: it would count an unroutable task as routed and hide the return.
    yield Exchange(names.EXCHANGE_TASKS, ExchangeType.TOPIC)
    yield Exchange(names.QUEUE_UNROUTED, ExchangeType.FANOUT)
    yield Exchange(names.EXCHANGE_EVENTS, ExchangeType.TOPIC, _UNROUTED_IF_UNWANTED)
    yield Exchange(names.EXCHANGE_DEAD_LETTERS, ExchangeType.DIRECT, _UNROUTED_IF_UNWANTED)
    yield Exchange(names.EXCHANGE_CONTROL, ExchangeType.FANOUT)
    yield Exchange(names.EXCHANGE_DELAY_OUT, ExchangeType.TOPIC)
    for level in range(LEVELS):
        yield Exchange(names.delay_exchange(level), ExchangeType.TOPIC)


def queues() -> Iterator[Queue]:
    """Every queue, those that are consumed last: see `declare`."""
    yield Queue(names.QUEUE_UNROUTED, _waiting())
    for service in (*WORK_SERVICES, STATUS_SERVICE):
        yield Queue(names.dead_letter_queue(service), _waiting())
    for level in range(LEVELS):
        _, _, following = level_bindings(level)
        yield Queue(
            names.delay_exchange(level),
            _waiting()
            | _AT_LEAST_ONCE
            | {"x-message-ttl": 2**level * 1000, "x-dead-letter-exchange": following},
        )
    # Only for services that consume it: elsewhere cancellations would pile up.
    for service in WORK_SERVICES:
        yield Queue(names.control_queue(service), _consumed(service))
    for service in (*WORK_SERVICES, STATUS_SERVICE):
        yield Queue(names.work_queue(service), _consumed(service))


def bindings() -> Iterator[Binding]:
    """Every binding."""
    for service in (*WORK_SERVICES, STATUS_SERVICE):
        work = names.work_queue(service)
        yield Binding(names.EXCHANGE_DELAY_OUT, f"#.{work}", work)
        dead = names.dead_letter_queue(service)
        yield Binding(names.EXCHANGE_DEAD_LETTERS, dead, dead)
        for kind in kinds_of(service):
            yield Binding(names.EXCHANGE_TASKS, kind, work)
    for service in WORK_SERVICES:
        yield Binding(names.EXCHANGE_CONTROL, "", names.control_queue(service))
    yield Binding(names.EXCHANGE_EVENTS, "task.#", names.work_queue(STATUS_SERVICE))
    yield Binding(names.QUEUE_UNROUTED, "", names.QUEUE_UNROUTED)
    for level in range(LEVELS):
        here = names.delay_exchange(level)
        waits, passes, following = level_bindings(level)
        yield Binding(here, waits, here)
        yield Binding(here, passes, following, target_is_exchange=True)


async def declare(channel: AbstractChannel) -> None:
    """Declares all of it; what exists already stays as it is.

    The queues that services consume come last: a service that finds its own queue knows that all else exists,
    and needs no permission to check it.

    Raises:
        aio_pika.exceptions.ChannelPreconditionFailed: something exists with other arguments.
    """
    declared = {
        exchange.name: await channel.declare_exchange(
            exchange.name, exchange.type, durable=True, arguments=exchange.arguments or None
        )
        for exchange in exchanges()
    }
    every = list(bindings())
    for binding in every:
        if binding.target_is_exchange:
            await declared[binding.target].bind(declared[binding.source], routing_key=binding.key)
    for queue in queues():
        made = await channel.declare_queue(queue.name, durable=True, arguments=queue.arguments)
        for binding in every:
            if binding.target == queue.name and not binding.target_is_exchange:
                await made.bind(declared[binding.source], routing_key=binding.key)


def _consumed(service: str) -> dict[str, Any]:
    return (
        _QUORUM
        | _AT_LEAST_ONCE
        | {
            "x-delivery-limit": WORK_DELIVERY_LIMIT,
            "x-dead-letter-exchange": names.EXCHANGE_DEAD_LETTERS,
            "x-dead-letter-routing-key": names.dead_letter_queue(service),
        }
    )


def _waiting() -> dict[str, Any]:
    return _QUORUM | {"x-delivery-limit": WAITING_DELIVERY_LIMIT}
