"""Spans by OpenTelemetry, sent as OTLP over HTTP; its own environment variables configure it.

Imported only where traces are asked for: see `waybill_worker.observe.tracing`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from threading import Thread
from typing import Final
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from waybill_contracts.wire import HEADER_TRACEPARENT
from waybill_worker.observe.spans import Attributes, SpanKind

#: Seconds for the remaining spans at a stop: a collector that is away must not use up the grace time.
SHUTDOWN_SECONDS: Final = 3.0
_ERROR_TYPE: Final = "error.type"
_KINDS: Final = {
    SpanKind.SERVER: trace.SpanKind.SERVER,
    SpanKind.CLIENT: trace.SpanKind.CLIENT,
    SpanKind.PRODUCER: trace.SpanKind.PRODUCER,
    SpanKind.CONSUMER: trace.SpanKind.CONSUMER,
    SpanKind.INTERNAL: trace.SpanKind.INTERNAL,
}
_W3C: Final = TraceContextTextMapPropagator()


class OtelTracer:
    """Records spans, and sends them many at a time from a thread of its own.

    Args:
        process: name of the process.
    """

    def __init__(self, process: str) -> None:
        resource = Resource.create(
            {
                "service.namespace": "waybill",
                "service.instance.id": str(uuid4()),
                "service.version": version("waybill-worker"),
            }
        )
        if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": f"waybill-{process}"}))
        # Its sampler, limits and batches are by OTEL_TRACES_SAMPLER, OTEL_SPAN_…, OTEL_BSP_….
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("waybill")

    @contextmanager
    def span(
        self, name: str, kind: SpanKind, parent: str | None, attributes: Attributes
    ) -> Iterator["_Span"]:
        """A span for the length of the block; an exception that leaves the block marks it as failed."""
        with self._tracer.start_as_current_span(
            name,
            context=_context_of(parent),
            kind=_KINDS[kind],
            attributes=attributes,
            # Texts of errors may contain personal data.
            record_exception=False,
            set_status_on_exception=False,
        ) as recorded:
            started = _Span(recorded)
            try:
                yield started
            except BaseException as error:
                started.failed(type(error).__name__)
                raise

    def past(
        self, name: str, kind: SpanKind, parent: str, attributes: Attributes, since_ns: int, until_ns: int
    ) -> None:
        """Record a span that has ended."""
        recorded = self._tracer.start_span(
            name, context=_context_of(parent), kind=_KINDS[kind], attributes=attributes, start_time=since_ns
        )
        recorded.end(until_ns)

    def current(self) -> str | None:
        """The traceparent of the running span, if it is recorded."""
        running = trace.get_current_span()
        return _Span(running).traceparent if running.is_recording() else None

    def shutdown(self) -> None:
        """Send the remaining spans; those that cannot be sent in time are lost."""
        # In a thread: the provider has no way to end in time while the collector does not answer.
        ending = Thread(target=self._provider.shutdown, daemon=True, name="last-spans")
        ending.start()
        ending.join(SHUTDOWN_SECONDS)


class _Span:
    def __init__(self, recorded: trace.Span) -> None:
        self._recorded = recorded

    @property
    def traceparent(self) -> str | None:
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(self._recorded, Context()))
        return carrier.get(HEADER_TRACEPARENT)

    def set(self, name: str, value: str | float | bool) -> None:  # noqa: FBT001 - any value is one
        self._recorded.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self._recorded.update_name(name)

    def failed(self, error_type: str) -> None:
        self._recorded.set_attribute(_ERROR_TYPE, error_type)
        self._recorded.set_status(trace.StatusCode.ERROR)


def _context_of(parent: str | None) -> Context | None:
    return None if parent is None else _W3C.extract({HEADER_TRACEPARENT: parent}, Context())
