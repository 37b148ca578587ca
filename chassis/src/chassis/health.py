"""Liveness, readiness and metrics over HTTP, for processes that serve nothing else."""

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry

from chassis.http_server import HttpServer
from chassis.metrics import exposition

#: Each check's name, and whether it is well just now.
Checks = Mapping[str, Callable[[], bool | Awaitable[bool]]]
_JSON: Final = "application/json"


class HealthServer:
    """Serves `/healthz`, `/readyz` (503 unless every check is well) and `/metrics`.

    `/healthz` tells that the process answers; it is 503 once somebody has refused it for longer than a grace
    time (`refusal` says why), which people must correct.

    The first two say which process answers (`pid`): two may share one address while one takes over from the
    other.
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
        self._server = HttpServer(
            self._app,
            host=host,
            port=port,
            listener_fd=listener_fd,
            interface="asgi3",
            lifespan="off",
            ws="none",
        )

    async def start(self) -> int:
        """Begins to serve.

        Returns:
            The port.

        Raises:
            OSError: the port is taken.
        """
        return await self._server.start()

    async def stop(self) -> None:
        """Stops serving."""
        await self._server.stop()

    async def readiness(self) -> dict[str, bool]:
        """Each check's name and whether it is well."""
        readiness = {}
        for name, check in self._checks.items():
            well = check()
            readiness[name] = well if isinstance(well, bool) else await well
        return readiness

    async def _answer(self, path: str) -> tuple[int, bytes, str]:
        match path:
            case "/healthz":
                return *liveness(self._refusal()), _JSON
            case "/metrics":
                return 200, *exposition(self._registry)
            case "/readyz":
                checks = await self.readiness()
                ready = all(checks.values())
                status = "ready" if ready else "not ready"
                return 200 if ready else 503, _json(status=status, pid=os.getpid(), **checks), _JSON
            case _:
                return 404, _json(status="not found", **{"try": "/healthz, /readyz or /metrics"}), _JSON

    async def _app(self, scope: Mapping[str, Any], _receive: Any, send: Any) -> None:
        status, body, content_type = await self._answer(scope["path"])
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),  # of HEAD too, whose body the server leaves out
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def liveness(refusal: str | None) -> tuple[int, bytes]:
    """Status and body of an answer that tells whether this process is healthy: unless it is refused."""
    if refusal is not None:
        return 503, _json(status="refused", pid=os.getpid(), reason=refusal)
    return 200, _json(status="alive", pid=os.getpid())


def _json(**answer: str | int) -> bytes:
    return json.dumps(answer).encode()
