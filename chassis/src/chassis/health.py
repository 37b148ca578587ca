"""Liveness and readiness over HTTP, for processes that serve nothing else."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from chassis.http_server import HttpServer

#: Each check's name, and whether it is well just now.
Checks = Mapping[str, Callable[[], bool]]
_HEADERS: Final = [(b"content-type", b"application/json")]


class HealthServer:
    """Serves `/healthz` (the process answers) and `/readyz` (503 unless every check is well).

    Both say which process answers (`pid`): two may share one address while one takes over from the other.
    """

    def __init__(self, checks: Checks, *, host: str, port: int, listener_fd: int | None) -> None:
        self._checks = checks
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

    def readiness(self) -> dict[str, bool]:
        """Each check's name and whether it is well."""
        return {name: check() for name, check in self._checks.items()}

    def _answer(self, path: str) -> tuple[int, dict[str, str | int | bool]]:
        match path:
            case "/healthz":
                return 200, {"status": "alive", "pid": os.getpid()}
            case "/readyz":
                checks = self.readiness()
                ready = all(checks.values())
                status = "ready" if ready else "not ready"
                return 200 if ready else 503, {"status": status, "pid": os.getpid(), **checks}
            case _:
                return 404, {"status": "not found", "try": "/healthz or /readyz"}

    async def _app(self, scope: Mapping[str, Any], _receive: Any, send: Any) -> None:
        status, answer = self._answer(scope["path"])
        await send({"type": "http.response.start", "status": status, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
