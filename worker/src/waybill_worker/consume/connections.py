"""The two connections of a consuming process to the broker."""

from collections.abc import Awaitable, Callable

from waybill_worker.broker import BrokerWait, disconnect, make_broker
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
        wait: the wait for the broker.
    """

    def __init__(self, settings: ProcessSettings, process: str, open_: Callable[[], Awaitable[None]]) -> None:
        self.publishing = make_broker(settings, process, "publish")
        self.consuming = make_broker(settings, process, "consume")
        self.publisher = Publisher(self.publishing, timeout_seconds=settings.publish_timeout_seconds)
        self.wait = BrokerWait()
        self._open = open_

    async def start(self) -> None:
        """Connects, as soon as the broker is there and what is needed of it."""
        await self.wait.until(self._open)

    async def stop(self) -> None:
        """Closes both."""
        await disconnect(self.consuming, self.publishing)
