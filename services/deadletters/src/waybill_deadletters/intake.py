"""The intake: consumes the dead-letter queues of all registered services, and messages without a queue."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final

from waybill_contracts.kinds import STATUS_SERVICE
from waybill_contracts.registry import Registry
from waybill_contracts.wire import QUEUE_UNROUTED, dead_letter_queue
from waybill_worker.broker import BrokerConnection, BrokerWait, Delivery
from waybill_worker.consume import Consumer, cancel_all
from waybill_worker.observe import get_logger
from waybill_worker.runtime import Component

log = get_logger(__name__)

#: Seconds between looks at the copy of the registry for services that are new.
LOOK_SECONDS: Final = 0.1
#: Queues that there are always.
OWN_QUEUES: Final = (dead_letter_queue(STATUS_SERVICE), QUEUE_UNROUTED)

#: Keeps a message of a queue.
Keep = Callable[[str, Delivery], Awaitable[None]]


class Intake(Component):
    """One consumer for each queue, as soon as the queue is declared.

    Args:
        broker: the connection that consumes.
        keep: keeps a message, and acknowledges it.
        registry: gives the registry as it is now.
        prefetch: messages of each queue in work at once.
        grace_seconds: how long a stop waits for the messages under way.
    """

    def __init__(
        self,
        broker: BrokerConnection,
        keep: Keep,
        *,
        registry: Callable[[], Registry],
        prefetch: int,
        grace_seconds: float,
    ) -> None:
        self._broker = broker
        self._keep = keep
        self._registry = registry
        self._prefetch = prefetch
        self._grace_seconds = grace_seconds
        self._consumers: dict[str, Consumer] = {}
        #: Queues that have been found, and are consumed until the end.
        self._begun: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._failed = asyncio.Event()

    @property
    def are_consuming(self) -> bool:
        """Whether the broker sends it the messages of all queues that it has found."""
        return self._begun.issuperset(OWN_QUEUES) and all(
            self._consumers[queue].is_consuming for queue in self._begun
        )

    async def start(self) -> None:
        """Begins to consume what there is always; other queues follow when they are declared."""
        for queue in OWN_QUEUES:
            await self._consumer(queue).begin()
            self._run(self._consume(queue))
        self._run(self._follow())

    async def wait_failed(self) -> None:
        """Returns when a consumer is gone for good."""
        await self._failed.wait()

    async def stop(self) -> None:
        """Takes no more messages, and lets those under way end."""
        for task in self._tasks:
            task.remove_done_callback(self._ended)
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        consumers = self._consumers.values()
        await cancel_all(*consumers)
        await asyncio.gather(*(consumer.settle(self._grace_seconds) for consumer in consumers))

    async def _follow(self) -> None:
        """Begins to consume the queue of each service that is new in the registry."""
        known: Registry | None = None
        while True:
            if (registry := self._registry()) is not known:
                known = registry
                for queue in map(dead_letter_queue, registry.work_services):
                    if queue not in self._consumers:
                        self._run(self._consume(queue))
            await asyncio.sleep(LOOK_SECONDS)

    async def _consume(self, queue: str) -> None:
        consumer = self._consumer(queue)
        # Each waits for itself: one queue may be declared late, or refused.
        await BrokerWait().until(consumer.start)
        self._begun.add(queue)
        log.info("consuming", queue=queue)
        await consumer.watch()

    def _consumer(self, queue: str) -> Consumer:
        if queue not in self._consumers:
            self._consumers[queue] = Consumer(
                self._broker,
                queue,
                partial(self._keep, queue),
                prefetch=self._prefetch,
                # These queues have no dead-letter queue: a rejected message would be lost.
                reject_on_error=False,
            )
        return self._consumers[queue]

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """None of them ends by itself, as long as all is well."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("ended, though it should not", what="intake", exc_info=error)
        self._failed.set()
