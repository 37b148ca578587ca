"""Scripts of other origins, which may read what links show and nothing else."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from waybill_gateway.runtime import WATCH_PATH


class LinkOrigins:
    """ASGI middleware: lets pages of these origins read links and the script that follows them.

    Args:
        app: the application.
        origins: such as `https://shop.example.com`; `*` for all. No answer depends on cookies.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        self._shared = CORSMiddleware(
            app, allow_origins=origins, allow_methods=["GET"], allow_headers=["Last-Event-ID"]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        is_link = scope["type"] == "http" and scope["path"].startswith(WATCH_PATH)
        await (self._shared if is_link else self._app)(scope, receive, send)
