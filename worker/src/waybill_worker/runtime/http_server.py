"""An HTTP server within a process: it begins when told, and ends without failing a request."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn

from waybill_worker.runtime.process import MisconfiguredError

#: Seconds between looks whether the server has come up, or whether it is idle.
_POLL_SECONDS: Final = 0.01
#: Seconds for the first request of a connection that was made just before the listener closed.
FIRST_REQUEST_SECONDS: Final = 1.0
_CONNECTION_CLOSE: Final = (b"connection", b"close")


class HttpServer:
    """Serves an ASGI application.

    Args:
        app: the application.
        host: where to listen …
        port: … 0: any free port.
        listener_fd: a socket that listens already, inherited from the process that started this one. Several
            processes may share it, so that one takes over from another without a connection being refused.
        options: of `uvicorn.Config`.
    """

    def __init__(self, app: Any, *, host: str, port: int, listener_fd: int | None, **options: Any) -> None:
        self._address = (host, port)
        self._listener_fd = listener_fd
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, **options))
        self._serving: asyncio.Task[None] | None = None
        self._opened: Any = app

    async def start(self, *, behind: Callable[[Any], Any] | None = None) -> int:
        """Begins to serve.

        Args:
            behind: makes of the application one that answers in its stead until `open` is called.

        Returns:
            The port.

        Raises:
            OSError: the port is taken.
            MisconfiguredError: what was to be inherited is no socket.
        """
        # Bound here: uvicorn answers a port that is taken by ending the process.
        listener = self._listener()
        config = self._server.config
        config.load()
        self._opened = config.loaded_app
        if behind is not None:
            config.loaded_app = behind(self._opened)
        # `serve` would take the signals too, which are the process's own.
        self._serving = asyncio.create_task(self._server._serve([listener]), name="http")  # noqa: SLF001 - see above
        while not self._server.started:
            if self._serving.done():
                await self._serving
            await asyncio.sleep(_POLL_SECONDS)
        port: int = listener.getsockname()[1]
        return port

    def open(self) -> None:
        """Has the application answer all that comes on new connections from now on."""
        self._server.config.loaded_app = self._opened

    async def ended(self) -> None:
        """Returns only when it has ended by itself."""
        if self._serving is None:
            raise RuntimeError("the server was not started")
        # Whoever gives up waiting must not take the server along.
        await asyncio.shield(self._serving)

    async def drain(self, seconds: float) -> None:
        """Serves on for a while, asking callers to come back on another connection; then takes no new ones.

        Args:
            seconds: for whoever sends callers here to notice that it is to send them elsewhere.
        """
        if self._serving is None or self._serving.done():
            return
        # With every answer: in those of the next request already, and whenever the server renews its headers.
        self._server.config.encoded_headers.append(_CONNECTION_CLOSE)
        self._server.server_state.default_headers.append(_CONNECTION_CLOSE)
        await asyncio.sleep(seconds)
        for server in self._server.servers:
            server.close()
        # A stop closes what is idle. A connection that was just made is not: its first request is on the way.
        until = asyncio.get_running_loop().time() + FIRST_REQUEST_SECONDS
        await asyncio.sleep(_POLL_SECONDS)
        # Polled: uvicorn tells nobody of its connections.
        while self._has_fresh_connections() and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)

    async def stop(self) -> None:
        """Takes no more requests, and ends those under way within `timeout_graceful_shutdown`."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving

    def _has_fresh_connections(self) -> bool:
        connections = self._server.server_state.connections
        return any(getattr(connection, "cycle", self) is None for connection in connections)

    def _listener(self) -> socket.socket:
        if self._listener_fd is not None:
            return inherited_socket(self._listener_fd)
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        return socket.create_server(self._address, family=family)


def inherited_socket(fd: int) -> socket.socket:
    """A socket that whoever started this process has passed on; whoever closes it here closes it.

    Raises:
        MisconfiguredError: there is none of this number.
    """
    try:
        return socket.socket(fileno=fd)
    except OSError as error:
        raise MisconfiguredError(
            f"WAYBILL_LISTENER_FD={fd} is no socket that was inherited: {error.strerror}"
        ) from error
