"""Liveness, startup, readiness and metrics over HTTP, for processes without another HTTP server."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry

from waybill_worker.runtime.components import Component
from waybill_worker.runtime.condition import Condition, Readiness
from waybill_worker.runtime.http_server import HttpServer

#: The checks by name: each returns whether its part is ready now.
Checks = Mapping[str, Callable[[], bool | Awaitable[bool]]]
_JSON: Final = "application/json"


class HealthServer(Component):
    """Serves the endpoints of supervisors.

    `/healthz`: the process answers; 503 once broker or database refuse it for longer than a grace time.
    `/startupz`: it has been ready since its start; a broker that is away later does not change that.
    `/readyz`: every check succeeds now. `/metrics`: the metrics.

    The first three return the `pid` of the process: several processes may share one address.

    Args:
        checks: the checks of readiness.
        registry: the metrics.
        refusal: returns why broker or database refuse the process for longer than a grace time; None: no.
        host: address to listen at.
        port: port to listen at; 0: any free port.
        listener_fd: an inherited socket instead.

    Attributes:
        port: where it listens; 0 before the start: any free one.
    """

    def __init__(
        self,
        checks: Checks,
        registry: CollectorRegistry,
        *,
        refusal: Callable[[], str | None],
        host: str,
        port: int,
        listener_fd: int | None,
    ) -> None:
        self._checks = checks
        self._condition = Condition(self._readiness, refusal, registry)
        self.port = port
        self._server = HttpServer(
            self._app,
            host=host,
            port=port,
            listener_fd=listener_fd,
            interface="asgi3",
            lifespan="off",
            ws="none",
        )

    async def start(self) -> None:
        """Starts serving.

        Raises:
            OSError: the port is taken.
        """
        self.port = await self._server.start()
        await self._condition.start()

    async def stop(self) -> None:
        """Stops serving."""
        await self._condition.stop()
        await self._server.stop()

    async def _readiness(self) -> Readiness:
        checks = {}
        for name, check in self._checks.items():
            well = check()
            checks[name] = well if isinstance(well, bool) else await well
        are_well = all(checks.values())
        return Readiness(is_ready=are_well, checks=checks, has_started=are_well)

    async def _answer(self, path: str) -> tuple[int, bytes, str]:
        match path:
            case "/healthz":
                status, answer = await self._condition.liveness()
            case "/startupz":
                status, answer = await self._condition.startup()
            case "/metrics":
                return 200, *self._condition.metrics()
            case "/readyz":
                status, answer = await self._condition.readiness()
            case _:
                status = 404
                answer = {"status": "not found", "try": "/healthz, /startupz, /readyz or /metrics"}
        return status, json.dumps(answer).encode(), _JSON

    async def _app(self, scope: Mapping[str, Any], _receive: Any, send: Any) -> None:
        status, body, content_type = await self._answer(scope["path"])
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),  # of HEAD too: the server leaves out its body
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
