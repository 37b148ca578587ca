"""HEAD, answered as GET without the body."""

from typing import NoReturn

import anyio
from starlette.routing import BaseRoute, Match, NoMatchFound, Router
from starlette.types import Message, Receive, Scope, Send


class HeadRequests(BaseRoute):
    """Answers HEAD wherever a route of `router` answers GET, with the status and headers of GET.

    FastAPI does not answer HEAD by itself; as routes of their own, HEAD requests would be in its OpenAPI
    document beside each GET.
    """

    def __init__(self, router: Router) -> None:
        self._router = router

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request is a HEAD for which there is a GET."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return Match.NONE, {}
        got = _got(scope)
        others = (route for route in self._router.routes if route is not self)
        return Match.FULL if any(r.matches(got)[0] == Match.FULL for r in others) else Match.NONE, {}

    def url_path_for(self, name: str, /, **path_params: object) -> NoReturn:
        """Raises always: the routes of GET have the names."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, and ends after the head: a body that GET would stream is not even read."""
        got = _got(scope)

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                answering.cancel()

        with anyio.CancelScope() as answering:
            await self._router(got, receive, send_head)
        # Requests are measured by the path template of their route.
        if "route" in got:
            scope["route"] = got["route"]


def _got(scope: Scope) -> Scope:
    return {**scope, "method": "GET"}
