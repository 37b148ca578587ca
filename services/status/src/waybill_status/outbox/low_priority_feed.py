"""The feeder: publishes held low work from the outbox, only as fast as the services take it."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import ClassVar

from waybill_contracts.registry import Registry
from waybill_database import Records
from waybill_ledger import Feed, held_routing_keys, take_held
from waybill_status.outbox.publication import MOST_AT_ONCE, TAKEN_FOR, publish_taken
from waybill_status.outbox.window import Window
from waybill_status.outlooks import Outlooks
from waybill_worker.broker import QueueStats
from waybill_worker.observe import get_logger
from waybill_worker.publish import Publisher
from waybill_worker.runtime import PeriodicTask

log = get_logger(__name__)

#: Seconds between reads of the outbox without and with held work.
IDLE_SECONDS, BUSY_SECONDS = 0.25, 0.1


class Feeder(PeriodicTask):
    """Feeds for as long as it runs; several may run at once, each with a window of its own.

    Args:
        records: the ledger.
        publisher: has the exchange of tasks open.
        outlooks: of the ledger.
        registry: gives the registry as it is now.
        queue_stats: gets the statistics of the work queue of a service; None: the broker is unavailable.
    """

    NAME: ClassVar = "feeder"

    def __init__(
        self,
        records: Records,
        publisher: Publisher,
        outlooks: Outlooks,
        *,
        registry: Callable[[], Registry],
        queue_stats: Callable[[str], Awaitable[QueueStats | None]],
    ) -> None:
        super().__init__(every_seconds=IDLE_SECONDS)
        self._records = records
        self._publisher = publisher
        self._outlooks = outlooks
        self._registry = registry
        self._queue_stats = queue_stats
        self._windows: defaultdict[str, Window] = defaultdict(Window)

    async def feed(self) -> bool:
        """Publishes as many tasks as there is room for.

        Returns:
            Whether any task was held.
        """
        if not (await self._outlooks.current()).is_any_held:
            return False
        held = await self._records.read(held_routing_keys)
        routes = self._registry().routes
        rooms: dict[str, int] = {}
        # A route that the copy of the registry does not have yet is fed as soon as it has it.
        for route in (routes[key] for key in held if key in routes):
            services = route.services
            for service in services:
                if service not in rooms:
                    rooms[service] = await self._room(service)
            # Tasks of several services go at the pace of the slowest one.
            most = min(MOST_AT_ONCE, *(rooms[service] for service in services))
            fed = await self._publish(route.routing_key, most) if most else 0
            for service in services:
                rooms[service] -= fed
                self._windows[service].feed(fed, _now())
        return bool(held)

    async def _room(self, service: str) -> int:
        stats = await self._queue_stats(service)
        return 0 if stats is None else self._windows[service].room(stats, _now())

    async def _publish(self, routing_key: str, most: int) -> int:
        now = self._records.now()
        taken = await self._records.write(take_held, Feed(routing_key, now, now + TAKEN_FOR, most))
        return await publish_taken(self._records, self._publisher, taken)

    async def _run_once(self) -> float | None:
        return BUSY_SECONDS if await self.whole(self.feed()) else None


def _now() -> float:
    return asyncio.get_running_loop().time()
