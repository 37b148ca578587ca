"""Consumers of one process, together."""

import asyncio

from waybill_worker.consume.consumer import Consumer
from waybill_worker.runtime import Component, first_completed


class Consumers(Component):
    """Consumers of one process, as a component.

    Args:
        consumers: started one after the other.
        grace_seconds: how long a stop waits for the messages under way.
    """

    def __init__(self, *consumers: Consumer, grace_seconds: float) -> None:
        self._consumers = consumers
        self._grace_seconds = grace_seconds

    @property
    def are_consuming(self) -> bool:
        """Whether the broker sends messages to each of them."""
        return all(consumer.is_consuming for consumer in self._consumers)

    async def start(self) -> None:
        """Begins to consume, with each as soon as its queue is there."""
        for consumer in self._consumers:
            await consumer.begin()

    async def wait_failed(self) -> None:
        """Returns when one of them is gone for good."""
        await first_completed(*(consumer.watch() for consumer in self._consumers))

    async def stop(self) -> None:
        """Takes no more messages, and lets those under way end."""
        await cancel_all(*self._consumers)
        await asyncio.gather(*(consumer.settle(self._grace_seconds) for consumer in self._consumers))


async def cancel_all(*consumers: Consumer) -> None:
    """Asks for no more messages, with all consumers at once: each may wait for a broker that hangs."""
    await asyncio.gather(*(consumer.cancel() for consumer in consumers))
