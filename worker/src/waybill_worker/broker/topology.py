"""The whole broker topology, derived from the registry, and its declaration.

It is made of parts: what all services share, what belongs to the status service, and what belongs to each
registered service. All arguments are given for every RabbitMQ version, so that no queue depends on a
version's defaults. One process declares it all (the status service); the others wait for it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue

from waybill_contracts.kinds import STATUS_SERVICE
from waybill_contracts.registry import Registry
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


@dataclass(frozen=True, slots=True)
class Part:
    """What belongs together: it is declared, or cannot be declared, as a whole."""

    #: The service whose part it is; empty: what all share.
    service: str
    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]


def exchanges() -> Iterator[Exchange]:
    """Every exchange."""
    # No alternate exchange here: it would count an unroutable task as routed and hide the return.
    yield Exchange(names.EXCHANGE_TASKS, ExchangeType.TOPIC)
    yield Exchange(names.QUEUE_UNROUTED, ExchangeType.FANOUT)
    yield Exchange(names.EXCHANGE_EVENTS, ExchangeType.TOPIC, _UNROUTED_IF_UNWANTED)
    yield Exchange(names.EXCHANGE_DEAD_LETTERS, ExchangeType.DIRECT, _UNROUTED_IF_UNWANTED)
    yield Exchange(names.EXCHANGE_CONTROL, ExchangeType.DIRECT)
    yield Exchange(names.EXCHANGE_DELAY_OUT, ExchangeType.TOPIC)
    for level in range(LEVELS):
        yield Exchange(names.delay_exchange(level), ExchangeType.TOPIC)


def parts(registry: Registry) -> Iterator[Part]:
    """Every part, in the order of their declaration.

    What a service consumes comes last in its own part, and its part after those that all services need: a
    service that finds its queues knows that all else is there, and needs no permission to check it.
    """
    yield _shared()
    yield _of_status()
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for route in registry.routes.values():
        for service in route.services:
            keys[service].append(route.routing_key)
    # Of a retired service too: tasks that it already had may still come, and nothing is to be lost.
    for service in registry.work_services:
        yield _of_service(service, sorted(keys[service]))


def queues(registry: Registry) -> Iterator[Queue]:
    """Every queue, those that are consumed after all that their consumers need."""
    for part in parts(registry):
        yield from part.queues


class Declaration:
    """What one channel has declared; the client declares it again whenever its connection is back.

    Args:
        channel: declares.
    """

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel
        self._exchanges: dict[str, AbstractExchange] = {}
        self._queues: dict[str, AbstractQueue] = {}
        self._bindings: set[Binding] = set()

    async def extend(self, part: Part) -> None:
        """Declares what is new in a part; what exists at the broker already stays as it is.

        Raises:
            aio_pika.exceptions.ChannelPreconditionFailed: something exists with other arguments.
            aio_pika.exceptions.AMQPError: the broker is away, or refuses; the next call does what is left.
        """
        for exchange in part.exchanges:
            if exchange.name not in self._exchanges:
                self._exchanges[exchange.name] = await self._channel.declare_exchange(
                    exchange.name, exchange.type, durable=True, arguments=exchange.arguments or None
                )
        # Queues in their order, each with its bindings: see `parts`.
        await self._bind(binding for binding in part.bindings if binding.target_is_exchange)
        for queue in part.queues:
            if queue.name not in self._queues:
                self._queues[queue.name] = await self._channel.declare_queue(
                    queue.name, durable=True, arguments=queue.arguments
                )
            await self._bind(
                binding
                for binding in part.bindings
                if binding.target == queue.name and not binding.target_is_exchange
            )

    async def _bind(self, bindings: Iterable[Binding]) -> None:
        for binding in bindings:
            if binding not in self._bindings:
                target = (
                    self._exchanges[binding.target]
                    if binding.target_is_exchange
                    else self._queues[binding.target]
                )
                await target.bind(binding.source, routing_key=binding.key)
                self._bindings.add(binding)


async def declare(channel: AbstractChannel, registry: Registry) -> Declaration:
    """Declares the topology of a registry; what exists already stays as it is.

    Raises:
        aio_pika.exceptions.ChannelPreconditionFailed: something exists with other arguments.
    """
    declaration = Declaration(channel)
    for part in parts(registry):
        await declaration.extend(part)
    return declaration


def _shared() -> Part:
    levels = range(LEVELS)
    bindings = [Binding(names.QUEUE_UNROUTED, "", names.QUEUE_UNROUTED)]
    ladder = []
    for level in levels:
        here = names.delay_exchange(level)
        waits, passes, following = level_bindings(level)
        bindings.append(Binding(here, waits, here))
        bindings.append(Binding(here, passes, following, target_is_exchange=True))
        lasting = {"x-message-ttl": 2**level * 1000, "x-dead-letter-exchange": following}
        ladder.append(Queue(here, _waiting() | _AT_LEAST_ONCE | lasting))
    return Part("", tuple(exchanges()), (Queue(names.QUEUE_UNROUTED, _waiting()), *ladder), tuple(bindings))


def _of_status() -> Part:
    own = _consumer(STATUS_SERVICE)
    events = Binding(names.EXCHANGE_EVENTS, "task.#", names.work_queue(STATUS_SERVICE))
    return Part(STATUS_SERVICE, (), own.queues, (*own.bindings, events))


def _of_service(service: str, routing_keys: Iterable[str]) -> Part:
    own = _consumer(service)
    dead, work = own.queues
    control = Queue(names.control_queue(service), _consumed(service))
    bindings = [
        *own.bindings,
        Binding(names.EXCHANGE_CONTROL, service, control.name),
        *(Binding(names.EXCHANGE_TASKS, key, work.name) for key in routing_keys),
    ]
    return Part(service, (), (dead, control, work), tuple(bindings))


def _consumer(service: str) -> Part:
    dead, work = names.dead_letter_queue(service), names.work_queue(service)
    return Part(
        service,
        (),
        (Queue(dead, _waiting()), Queue(work, _consumed(service))),
        (
            Binding(names.EXCHANGE_DELAY_OUT, f"#.{work}", work),
            Binding(names.EXCHANGE_DEAD_LETTERS, dead, dead),
        ),
    )


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
