"""The gateway as a process: how it starts, and how it stops without failing a request."""

import asyncio
import math
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from waybill_gateway.app import create_app, open_components, start_components
from waybill_gateway.components import GatewayComponents
from waybill_gateway.http import PROBES, HttpLimits, LimitedProtocol, ledger_unavailable, problem_answer
from waybill_gateway.runtime import Resources
from waybill_gateway.settings import GatewaySettings
from waybill_worker.observe import get_logger
from waybill_worker.runtime import HttpServer, configuring, first_completed, inherited_socket

log = get_logger(__name__)

#: Seconds for the check of a ledger that is available; after that callers are answered that it is not.
SILENT_SECONDS: Final = 2.0


class GatewayProcess:
    """Serves the API until it is stopped."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._app = create_app(settings)
        self._server = HttpServer(
            self._app,
            host=settings.host,
            port=settings.port,
            listener_fd=settings.listener_fd,
            # Started and stopped here: the server would turn a wrong setting into a traceback.
            lifespan="off",
            http=partial(LimitedProtocol, limits=_limits(settings), metrics=self._app.state.metrics),
            # No WebSockets, and no header that names the software.
            ws="none",
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_graceful_shutdown=math.ceil(settings.grace_seconds),
        )
        self._lifespan = AsyncExitStack()
        self._components: GatewayComponents | None = None
        self._is_serving = False

    async def start(self) -> None:
        """Starts to serve; needs the ledger, but no broker.

        While the ledger is away, the gateway waits for it, answers probes, and answers all other requests
        with 503.

        Raises:
            MisconfiguredError: the inherited descriptor is no socket, or other machines reach it though
                that is not allowed; a setting names what does not exist; the ledger's schema is not this
                release's.
        """
        host, fd = self._settings.host, self._settings.listener_fd
        if fd is not None:
            host = _host_of(fd)
            with configuring(ValueError):
                self._settings.require_open_on_purpose(host)
        components = await self._lifespan.enter_async_context(open_components(self._app))
        self._components = components
        await components.resources.condition.start()
        starting = asyncio.create_task(start_components(components))
        try:
            # Not served earlier, though it could be: a process that takes over from another fails no request.
            done, _ = await asyncio.wait((starting,), timeout=SILENT_SECONDS)
            if done:
                starting.result()
            # Before the first request is answered: a stop may come between that and the end of this wait.
            self._is_serving = True
            port = await self._server.start(
                behind=None if done else partial(_until_checked, components.resources)
            )
            await starting
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        self._server.open()
        log.info("serving", host=host, port=port)

    async def wait_failed(self) -> None:
        """Returns only when the server, or a part that works beside it, has ended by itself."""
        if self._components is None:
            raise RuntimeError("the gateway was not started")
        await first_completed(self._server.ended(), self._components.wait_failed())

    async def stop(self) -> None:
        """Reports not ready, serves on until load balancers have noticed, then ends what is under way."""
        if self._is_serving:
            self._app.state.resources.stopping.set()
            await self._server.drain(self._settings.drain_seconds)
        await self._server.stop()
        if self._components is not None:
            await self._components.resources.condition.stop()
        await self._lifespan.aclose()


def _until_checked(resources: Resources, app: ASGIApp) -> ASGIApp:
    """Answers probes by `app`, and all else only once the ledger has been checked."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if resources.ledger_is_checked or scope["path"] in PROBES:
            await app(scope, receive, send)
            return
        # On a new connection the caller reaches the application itself.
        await problem_answer(ledger_unavailable(Connection="close"))(scope, receive, send)

    return answer


def _host_of(fd: int) -> str:
    """Where an inherited socket listens."""
    listener = inherited_socket(fd)
    address = listener.getsockname()
    # The server opens the descriptor itself.
    listener.detach()
    return str(address[0] if isinstance(address, tuple) else address)


def _limits(settings: GatewaySettings) -> HttpLimits:
    return HttpLimits(
        connections=settings.max_connections,
        head_bytes=settings.max_head_bytes,
        head_seconds=settings.head_seconds,
        body_seconds=settings.body_seconds,
        unread_seconds=settings.unread_seconds,
    )
