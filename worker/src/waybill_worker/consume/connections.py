"""The two connections of a consuming process to the broker."""

import asyncio
from collections.abc import Awaitable, Callable

from waybill_worker.broker import BrokerConnection, BrokerWait
from waybill_worker.publish import Publisher
from waybill_worker.runtime import Component, ProcessSettings


class Connections(Component):
    """A connection that publishes and one that consumes, as a component.

    Args:
        settings: where the broker is.
        process: who connects.
        open_: called at the start until it succeeds: opens the publisher's exchanges, or declares them.

    Attributes:
        publishing: the connection that publishes; the broker may block it.
        consuming: the connection that consumes.
        publisher: publishes on the first one.
    """

    def __init__(self, settings: ProcessSettings, process: str, open_: Callable[[], Awaitable[None]]) -> None:
        self.publishing = BrokerConnection(settings, process, "publish")
        self.consuming = BrokerConnection(settings, process, "consume")
        self.publisher = Publisher(self.publishing, timeout_seconds=settings.publish_timeout_seconds)
        self._open = open_

    @property
    def wait(self) -> BrokerWait:
        """The wait for the broker: one thing after the other is waited for."""
        return self.consuming.wait

    async def start(self) -> None:
        """Connects, as soon as the broker is there and what is needed of it."""
        await self.wait.until(self._open)

    async def stop(self) -> None:
        """Closes both."""
        await asyncio.gather(self.consuming.stop(), self.publishing.stop())
