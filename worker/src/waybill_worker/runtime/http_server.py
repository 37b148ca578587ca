"""An HTTP server inside a process, which stops without failing a request."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import uvicorn

from waybill_worker.runtime.process import MisconfiguredError

#: Seconds between checks whether the server has started, or is idle.
_POLL_SECONDS: Final = 0.01
#: Seconds between two looks at the clock for the headers of answers.
_TICK_SECONDS: Final = 1.0
#: Seconds for the first request of a connection that was made just before the listener closed.
FIRST_REQUEST_SECONDS: Final = 1.0
_CONNECTION_CLOSE: Final = (b"connection", b"close")


class HttpServer:
    """Serves an ASGI application.

    Args:
        app: the application.
        host: address to listen at.
        port: port to listen at; 0: any free port.
        listener_fd: a listening socket that was inherited from the parent process. Several processes may
            share it, so that one takes over from another without a refused connection.
        options: options of `uvicorn.Config`.
    """

    def __init__(self, app: Any, *, host: str, port: int, listener_fd: int | None, **options: Any) -> None:
        self._address = (host, port)
        self._listener_fd = listener_fd
        self._server = _Server(uvicorn.Config(app, log_config=None, access_log=False, **options))
        self._serving: asyncio.Task[None] | None = None
        self._opened: Any = app

    async def start(self, *, behind: Callable[[Any], Any] | None = None) -> int:
        """Starts serving.

        Args:
            behind: wraps the application in one that answers instead of it until `open` is called.

        Returns:
            The port.

        Raises:
            OSError: the port is taken.
            MisconfiguredError: the inherited descriptor is no socket.
        """
        # Bound here: uvicorn ends the process if the port is taken.
        listener = self._listener()
        config = self._server.config
        config.load()
        self._opened = config.loaded_app
        if behind is not None:
            config.loaded_app = behind(self._opened)
        # `serve` would handle signals too, which belong to the process.
        self._serving = asyncio.create_task(self._server._serve([listener]), name="http")  # noqa: SLF001 - see above
        while not self._server.started:
            if self._serving.done():
                await self._serving
            await asyncio.sleep(_POLL_SECONDS)
        port: int = listener.getsockname()[1]
        return port

    def open(self) -> None:
        """Let the application answer all requests on new connections from now on."""
        self._server.config.loaded_app = self._opened

    async def ended(self) -> None:
        """Returns only when the server has ended by itself."""
        if self._serving is None:
            raise RuntimeError("the server was not started")
        # Cancelling this wait must not cancel the server.
        await asyncio.shield(self._serving)

    async def drain(self, seconds: float) -> None:
        """Serves on for a while, asking callers to use another connection; then accepts no new connections.

        Args:
            seconds: how long, so that a load balancer can notice and send callers elsewhere.
        """
        if self._serving is None or self._serving.done():
            return
        # In every answer: of the next request at once, and whenever the server renews its headers.
        self._server.config.encoded_headers.append(_CONNECTION_CLOSE)
        self._server.server_state.default_headers.append(_CONNECTION_CLOSE)
        await asyncio.sleep(seconds)
        for server in self._server.servers:
            server.close()
        # A stop closes idle connections. On a new connection the first request is on the way.
        until = asyncio.get_running_loop().time() + FIRST_REQUEST_SECONDS
        await asyncio.sleep(_POLL_SECONDS)
        # Polled: uvicorn has no event for its connections.
        while self._has_fresh_connections() and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)

    async def stop(self) -> None:
        """Accepts no more requests, and ends running ones within `timeout_graceful_shutdown`."""
        self._server.end()
        if self._serving is not None:
            await self._serving

    def _has_fresh_connections(self) -> bool:
        connections = self._server.server_state.connections
        return any(getattr(connection, "cycle", self) is None for connection in connections)

    def _listener(self) -> socket.socket:
        if self._listener_fd is not None:
            return inherited_socket(self._listener_fd)
        return open_listener(*self._address)


class _Server(uvicorn.Server):
    """A server that rests while nobody asks; uvicorn's own looks ten times a second whether it is to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Has it stop."""
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        """Renews the headers of answers, until it is to stop."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._ending.wait()


def open_listener(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        OSError: the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def inherited_socket(fd: int) -> socket.socket:
    """A socket inherited from the parent process; the caller closes it.

    Raises:
        MisconfiguredError: the descriptor is no socket.
    """
    try:
        return socket.socket(fileno=fd)
    except OSError as error:
        raise MisconfiguredError(
            f"WAYBILL_LISTENER_FD={fd} is no inherited socket: {error.strerror}"
        ) from error
