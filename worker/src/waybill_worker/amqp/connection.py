"""The client's connection, with a frame stream of ours below it."""

import asyncio
from typing import Any

import aiormq
from aio_pika import RobustConnection
from aio_pika.exceptions import AMQPConnectionError
from aiormq.connection import TransportFactory
from yarl import URL

from waybill_worker.amqp.confirms import Confirms
from waybill_worker.amqp.stream import FrameStream, Sink


class DirectConnection(RobustConnection):
    """aio-pika's robust connection; what is delivered and confirmed on it bypasses aio-pika."""

    def __init__(self, url: URL, loop: asyncio.AbstractEventLoop | None = None, **options: Any) -> None:
        super().__init__(url, loop, **options)
        # It does not refer to this connection, which is closed as soon as nothing else does.
        self._sockets = self.kwargs["transport_factory"] = _Sockets()

    def take(self, consumer_tag: str, sink: Sink) -> None:
        """Gives `sink` each message of a consumer, also after a reconnect; the client gets none of them."""
        self._sockets.sinks[consumer_tag.encode()] = sink

    def take_no_more(self, consumer_tag: str) -> None:
        """Removes the sink of a consumer."""
        self._sockets.sinks.pop(consumer_tag.encode(), None)

    def confirms_of(self, channel: aiormq.abc.AbstractChannel, timeout_seconds: float) -> Confirms:
        """Takes over the publishes of a channel, see `FrameStream.confirms_of`."""
        return self._sockets.current.confirms_of(channel, timeout_seconds)

    async def _on_connected(self) -> None:
        # Before the client opens its channels again.
        if self.transport is not None:
            self._sockets.current.serve(self.transport.connection)
        await super()._on_connected()


class _Sockets(TransportFactory):
    """How the client opens the socket of each connection.

    Attributes:
        sinks: of the consumers, by their tag.
    """

    def __init__(self) -> None:
        self.sinks: dict[bytes, Sink] = {}
        self._current: FrameStream | None = None

    @property
    def current(self) -> FrameStream:
        """The stream of the last one.

        Raises:
            RuntimeError: there was none yet.
        """
        if self._current is None:
            raise RuntimeError("the connection was never made")
        return self._current

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Opens one, with TLS where the URL says so."""
        provider = kwargs.pop("ssl_context_provider")
        reader = asyncio.StreamReader()
        stream = self._current = FrameStream(reader, self.sinks)
        loop = asyncio.get_running_loop()
        try:
            ssl = await provider.get_context() if url.scheme == "amqps" else None
            transport, _ = await loop.create_connection(
                lambda: stream, url.host or "", url.port or 0, ssl=ssl, **kwargs
            )
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error
        return reader, asyncio.StreamWriter(transport, stream, reader, loop)
