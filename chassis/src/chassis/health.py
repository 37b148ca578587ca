"""Liveness and readiness over HTTP, for processes that serve nothing else."""

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

import uvicorn

from chassis.logs import get_logger

log = get_logger(__name__)

#: Each check's name, and whether it is well just now.
Checks = Mapping[str, Callable[[], bool]]
_HEADERS: Final = [(b"content-type", b"application/json")]
#: Seconds between looks whether the server has come up.
_STARTED_POLL_SECONDS: Final = 0.01


class HealthServer:
    """Serves `/healthz` (the process answers) and `/readyz` (503 unless every check is well)."""

    def __init__(self, checks: Checks, *, host: str, port: int) -> None:
        self._checks = checks
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                host=host,
                port=port,
                interface="asgi3",
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Begins to serve.

        Returns:
            The port.

        Raises:
            OSError: the port is taken.
        """
        # Bound here: uvicorn answers a port that is taken by ending the process.
        host, port = self._server.config.host, self._server.config.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
        # `serve` would take the signals too, which are the process's own.
        self._serving = asyncio.create_task(self._server._serve([listener]), name="health")  # noqa: SLF001 - see above
        while not self._server.started:
            if self._serving.done():
                await self._serving
            await asyncio.sleep(_STARTED_POLL_SECONDS)
        bound: int = listener.getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stops serving."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving

    def readiness(self) -> dict[str, bool]:
        """Each check's name and whether it is well."""
        return {name: check() for name, check in self._checks.items()}

    def _answer(self, path: str) -> tuple[int, dict[str, str | bool]]:
        match path:
            case "/healthz":
                return 200, {"status": "alive"}
            case "/readyz":
                checks = self.readiness()
                ready = all(checks.values())
                return 200 if ready else 503, {"status": "ready" if ready else "not ready", **checks}
            case _:
                return 404, {"status": "not found", "try": "/healthz or /readyz"}

    async def _app(self, scope: Mapping[str, Any], _receive: Any, send: Any) -> None:
        status, answer = self._answer(scope["path"])
        await send({"type": "http.response.start", "status": status, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
