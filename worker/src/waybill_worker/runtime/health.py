"""Liveness, startup, readiness and metrics over HTTP, for processes without another HTTP server."""

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry

from waybill_worker.observe import exposition
from waybill_worker.runtime.components import Component
from waybill_worker.runtime.http_server import HttpServer

#: The checks by name: each returns whether its part is ready now.
Checks = Mapping[str, Callable[[], bool | Awaitable[bool]]]
_JSON: Final = "application/json"


class HealthServer(Component):
    """Serves the endpoints of supervisors.

    `/healthz`: the process answers; 503 once broker or database refuse it for longer than a grace time.
    `/startupz`: it has been ready since its start; a broker that is away later does not change that.
    `/readyz`: every check succeeds now. `/metrics`: the metrics.

    The first three return the `pid` of the process: two processes may share one address while one takes over
    from the other.

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
        self._registry = registry
        self._refusal = refusal
        self._was_ready = False
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

    async def stop(self) -> None:
        """Stops serving."""
        await self._server.stop()

    async def readiness(self) -> dict[str, bool]:
        """The checks by name, and whether each succeeds."""
        readiness = {}
        for name, check in self._checks.items():
            well = check()
            readiness[name] = well if isinstance(well, bool) else await well
        self._was_ready = self._was_ready or all(readiness.values())
        return readiness

    async def _answer(self, path: str) -> tuple[int, bytes, str]:
        match path:
            case "/healthz":
                return *liveness_answer(self._refusal()), _JSON
            case "/startupz":
                if not self._was_ready:
                    await self.readiness()
                return *startup_answer(self._refusal(), has_started=self._was_ready), _JSON
            case "/metrics":
                return 200, *exposition(self._registry)
            case "/readyz":
                checks = await self.readiness()
                ready = all(checks.values())
                status = "ready" if ready else "not ready"
                return 200 if ready else 503, _json(status=status, pid=os.getpid(), **checks), _JSON
            case _:
                return (
                    404,
                    _json(status="not found", **{"try": "/healthz, /startupz, /readyz or /metrics"}),
                    _JSON,
                )

    async def _app(self, scope: Mapping[str, Any], _receive: Any, send: Any) -> None:
        status, body, content_type = await self._answer(scope["path"])
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),  # of HEAD too: the server leaves out its body
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def liveness_answer(refusal: str | None) -> tuple[int, bytes]:
    """Status and body of the liveness answer: healthy, unless broker or database refuse the process."""
    return _answer("alive", refusal)


def startup_answer(refusal: str | None, *, has_started: bool) -> tuple[int, bytes]:
    """Status and body of the startup answer: whether the process has been ready, unless it is refused."""
    if refusal is None and not has_started:
        return 503, _json(status="starting", pid=os.getpid())
    return _answer("started", refusal)


def _answer(word: str, refusal: str | None) -> tuple[int, bytes]:
    if refusal is not None:
        return 503, _json(status="refused", pid=os.getpid(), reason=refusal)
    return 200, _json(status=word, pid=os.getpid())


def _json(**answer: str | int) -> bytes:
    return json.dumps(answer).encode()
