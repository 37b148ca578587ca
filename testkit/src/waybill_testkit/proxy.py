"""A TCP proxy on loopback that a test can cut and stall."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from waybill_testkit.machine import LOOPBACK

#: Bytes moved at once.
CHUNK = 65_536


class Proxy:
    """Forwards connections to one address."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self._pairs: set[asyncio.Task[None]] = set()
        #: Number of connections made through it.
        self.connections = 0
        self.port = 0

    def url(self, direct: str) -> str:
        """The URL `direct` through this proxy."""
        parts = urlsplit(direct)
        return parts._replace(netloc=f"{parts.username}:{parts.password}@{LOOPBACK}:{self.port}").geturl()

    def stall(self) -> None:
        """Forwards nothing, and closes nothing: the peer hangs."""
        self._flowing.clear()

    def resume(self) -> None:
        """Forwards what is buffered, and accepts connections again."""
        self._flowing.set()
        self._refusing = False

    def cut(self, *, refuse: bool = False) -> None:
        """Closes every connection; with `refuse`, new ones too until `resume`."""
        self._refusing = refuse
        for pair in self._pairs:
            pair.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forwards one connection until either side ends it."""
        pair = asyncio.current_task()
        assert pair is not None
        self._pairs.add(pair)
        try:
            if not self._refusing:
                self.connections += 1
                await self._join(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # cut by a side or by the test: that is what this is for
        finally:
            self._pairs.discard(pair)
            writer.transport.abort()

    async def close(self) -> None:
        """Ends all connections."""
        pairs = list(self._pairs)
        self.cut(refuse=True)
        await asyncio.gather(*pairs, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        ways = [
            asyncio.create_task(self._pass(reader, there_writer)),
            asyncio.create_task(self._pass(there_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            there_writer.transport.abort()
            with suppress(OSError):  # it was aborted
                await there_writer.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def proxied(host: str, port: int) -> AsyncIterator[Proxy]:
    """A proxy to `host` and `port` that runs for the time of the block."""
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy.serve, LOOPBACK, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
