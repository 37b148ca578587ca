"""The metrics of the gateway: accepted tasks, answered and refused requests."""

from collections.abc import MutableMapping
from time import perf_counter
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Receive, Scope, Send

#: Seconds: from a simple read to an upload over a slow connection.
REQUEST_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
#: The label for paths without a route: paths that callers invent must not become labels.
NO_ROUTE: Final = "none"


class GatewayMetrics:
    """The gateway's metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._accepted = Counter(
            "waybill_tasks_accepted_total", "Tasks accepted.", ("kind",), registry=registry
        )
        self._requests = Histogram(
            "waybill_http_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ("method", "route", "status"),
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )

        #: Those of labels that were seen, as the library searches for them under a lock.
        self._accepted_of: dict[str, Counter] = {}
        self._requests_of: dict[tuple[str, str, int], Histogram] = {}
        self._refused = Counter(
            "waybill_http_refused_total",
            "Connections and requests that were refused for a limit before any route saw them.",
            ("reason",),
            registry=registry,
        )

        self._watchers = Gauge(
            "waybill_watchers",
            "Callers that wait for the end of a task, or watch a task, a task by a link, or all tasks.",
            ("watched",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._events = Counter(
            "waybill_streamed_events_total",
            "Events of tasks that were streamed to watchers.",
            registry=registry,
        )
        self._cut = Counter(
            "waybill_cut_streams_total",
            "Streams that were cut because their caller read too slowly.",
            registry=registry,
        )

    def accepted(self, kind: str) -> None:
        """Counts an accepted task."""
        counter = self._accepted_of.get(kind)
        if counter is None:
            counter = self._accepted_of[kind] = self._accepted.labels(kind)
        counter.inc()

    def watchers(self, watched: str, change: int) -> None:
        """Counts those who begin or cease to watch."""
        self._watchers.labels(watched).inc(change)

    def streamed(self, events: int) -> None:
        """Counts events that were streamed to a watcher."""
        self._events.inc(events)

    def cut(self) -> None:
        """Counts a stream that was cut because its caller read too slowly."""
        self._cut.inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Records an answered request.

        Args:
            method: of the request.
            route: the path template of its route.
            status: of the answer.
            seconds: from the first byte of the request to the last of the answer.
        """
        labels = method, route, status
        histogram = self._requests_of.get(labels)
        if histogram is None:
            histogram = self._requests_of[labels] = self._requests.labels(method, route, str(status))
        histogram.observe(seconds)

    def refused(self, reason: str) -> None:
        """Counts a connection or request that was ended for a limit; `reason` is one of a few words."""
        self._refused.labels(reason).inc()


class MeasureRequests:
    """ASGI middleware: measures each request by the path template of its route."""

    def __init__(self, app: ASGIApp, metrics: GatewayMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Measures a request; passes anything else on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        # A connection that is closed before the answer counts as 499, as in proxies.
        status = 499

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            method = scope["method"] if route != NO_ROUTE else NO_ROUTE
            self._metrics.answered(method, route, status, perf_counter() - started)
