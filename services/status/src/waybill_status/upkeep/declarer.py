"""The declarer: the broker has what the registry says, and the ledger knows of it."""

from asyncio import get_running_loop
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError
from faststream.rabbit import RabbitBroker

from waybill_contracts.registry import Registry
from waybill_database import Records
from waybill_ledger.registry import confirm_declared
from waybill_worker.broker import BrokerWait, refusal, topology
from waybill_worker.observe import get_logger
from waybill_worker.runtime import PeriodicTask

log = get_logger(__name__)

#: Seconds between looks at the copy of the registry, which are free as long as it is the same.
LOOK_SECONDS: Final = 0.25
#: Seconds between tries to declare what the broker refuses.
REFUSED_SECONDS: Final = 5.0


class Declarer(PeriodicTask):
    """Declares what is new in the registry, and then confirms its routes; several may run at once.

    What was declared is declared again by the client whenever its connection is back. What the broker refuses
    of one service, such as a queue of its name that somebody else made, holds up that service alone.

    Args:
        records: the ledger.
        broker: the connection that declares.
        registry: gives the registry as it is now.
    """

    NAME: ClassVar = "declarer"

    def __init__(self, records: Records, broker: RabbitBroker, registry: Callable[[], Registry]) -> None:
        super().__init__(every_seconds=LOOK_SECONDS)
        self._records = records
        self._broker = broker
        self._registry = registry
        self._wait = BrokerWait()
        #: The connection keeps its channels by weak references only.
        self._channel: AbstractChannel | None = None
        self._declaration: topology.Declaration | None = None
        self._parts: dict[str, topology.Part] = {}
        #: Why the broker refuses the part of a service.
        self._refused: dict[str, str] = {}
        self._refused_at = 0.0
        self._settled: Registry | None = None

    @property
    def queues(self) -> Sequence[str]:
        """Names of the queues that have been declared, as they are now."""
        return [queue.name for part in self._parts.values() for queue in part.queues]

    async def begin(self) -> None:
        """Declares everything, on a new channel; `step` confirms it.

        Raises:
            aio_pika.exceptions.AMQPError: the broker is away, or refuses what all services need.
        """
        connection = await self._broker.connect()
        self._channel = await connection.channel()
        self._declaration, self._parts = topology.Declaration(self._channel), {}
        await self._declare(self._registry())

    async def step(self) -> None:
        """Declares and confirms what is new; waits for a broker that is away."""
        registry = self._registry()
        if registry is self._settled and not self._tries_again:
            return
        await self._wait.until(lambda: self._declare(registry))
        # After the declaration: a route that is confirmed is used, so its bindings must exist.
        declared = _without(registry, self._refused)
        if list(declared.undeclared):
            routes = await self._records.write(confirm_declared, (declared, self._records.now()))
            log.info("routes are declared", routes=routes)
        self._settled = registry

    @property
    def _tries_again(self) -> bool:
        return bool(self._refused) and get_running_loop().time() - self._refused_at >= REFUSED_SECONDS

    async def _declare(self, registry: Registry) -> None:
        if self._declaration is None:
            raise RuntimeError("the declarer has not begun")
        refused: dict[str, str] = {}
        for part in topology.parts(registry):
            if self._parts.get(part.service) == part:
                continue
            if part.service in registry.services and (reason := await self._refusal(part)):
                refused[part.service] = reason
                continue
            await self._declaration.extend(part)
            self._parts[part.service] = part
        self._report(refused)

    async def _refusal(self, part: topology.Part) -> str | None:
        """Why the broker refuses a part; it is declared on a channel of its own, which a refusal closes."""
        connection = await self._broker.connect()
        try:
            async with connection.channel() as channel:
                await topology.Declaration(channel).extend(part)
        except AMQPError as error:
            if (reason := refusal(error)) is None:
                raise
            return reason
        return None

    def _report(self, refused: dict[str, str]) -> None:
        for service, reason in refused.items():
            if self._refused.get(service) != reason:
                log.critical(
                    "the broker refuses the queues of a service, which gets no new tasks until that is "
                    "corrected",
                    service=service,
                    reason=reason,
                )
        self._refused, self._refused_at = refused, get_running_loop().time()

    async def _run_once(self) -> None:
        await self.step()


def _without(registry: Registry, services: dict[str, str]) -> Registry:
    """The registry without the routes to some services."""
    kinds = {
        name: replace(
            kind, routes=tuple(route for route in kind.routes if services.keys().isdisjoint(route.services))
        )
        for name, kind in registry.kinds.items()
    }
    return replace(registry, kinds=kinds)
