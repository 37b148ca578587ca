"""Spans of requests, if traces are recorded."""

from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from waybill_contracts.wire import HEADER_TRACEPARENT, accepted_traceparent
from waybill_gateway.http.probes import PROBES
from waybill_worker.observe import SpanKind, span


class TraceRequests:
    """ASGI middleware: a span for each request, named by the path template of its route.

    The span replaces the caller's trace context in the request, so that the task becomes a part of it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Traces a request; passes anything else on."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        headers = MutableHeaders(scope=scope)
        parent = accepted_traceparent(headers.get(HEADER_TRACEPARENT))
        # No path and no query: they may contain personal data.
        attributes = {"http.request.method": scope["method"], "url.scheme": scope["scheme"]}
        with span(scope["method"], SpanKind.SERVER, attributes, parent=parent) as request:

            async def sending(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    request.set("http.response.status_code", status)
                    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                        request.failed(str(status))
                await send(message)

            if request.traceparent is not None:
                headers[HEADER_TRACEPARENT] = request.traceparent
            try:
                await self._app(scope, receive, sending)
            finally:
                route = getattr(scope.get("route"), "path", None)
                if route is not None:
                    request.set("http.route", route)
                    request.rename(f"{scope['method']} {route}")
