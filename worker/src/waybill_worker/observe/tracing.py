"""Traces: spans of the operations of a process. Without a tracer they cost next to nothing.

OpenTelemetry is imported only if its own environment variables ask for it: it is large, and slow to import.
Spans hold ids and types, and no payloads, addresses or error texts.
"""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Final

from waybill_worker.observe.spans import Attributes, Span, SpanKind, Tracer

_NONE: Attributes = MappingProxyType({})
_PROTOCOL: Final = "http/protobuf"


class TracingError(Exception):
    """The environment asks for traces in a way that is not supported; `str()` says what to do."""


class _Unrecorded:
    traceparent = None

    def set(self, name: str, value: str | float | bool) -> None:  # noqa: FBT001 - any value is one
        del name, value

    def rename(self, name: str) -> None:
        del name

    def failed(self, error_type: str) -> None:
        del error_type


_UNRECORDED: AbstractContextManager[Span] = nullcontext(_Unrecorded())
#: The tracer of this process; None: no traces.
_tracer: Tracer | None = None


def configure_tracing(process: str, environment: Mapping[str, str] = os.environ) -> None:
    """Begin to export spans if OpenTelemetry's variables ask for it (`OTEL_EXPORTER_OTLP_ENDPOINT` …).

    Args:
        process: name of the process; its service name is `waybill-` and this, unless `OTEL_SERVICE_NAME`
            is set.
        environment: environment of the process.

    Raises:
        TracingError: they ask for an unsupported exporter or protocol, or OpenTelemetry is missing.
    """
    if not _is_asked_for(environment):
        return
    try:
        from waybill_worker.observe.otel import OtelTracer  # noqa: PLC0415 - only here: see above
    except ImportError as error:
        raise TracingError(
            f"traces are asked for (OTEL_…), but OpenTelemetry is missing ({error}): install "
            "waybill-worker[traces], or set OTEL_SDK_DISABLED=true"
        ) from error
    use_tracer(OtelTracer(process))


def use_tracer(tracer: Tracer | None) -> None:
    """Record with `tracer` from now on; None: stop recording."""
    global _tracer  # noqa: PLW0603 - a process has one, as it has one log
    _tracer = tracer


def is_tracing() -> bool:
    """Whether spans are recorded: otherwise no attributes need be made."""
    return _tracer is not None


def span(
    name: str, kind: SpanKind, attributes: Attributes = _NONE, *, parent: str | None = None
) -> AbstractContextManager[Span]:
    """A span for the length of the block, to be used at once.

    Args:
        name: name of the operation, without ids.
        kind: the role of the span.
        attributes: attributes of the span.
        parent: traceparent of its cause; None: the running span.
    """
    return _UNRECORDED if _tracer is None else _tracer.span(name, kind, parent, attributes)


def past_span(
    name: str, kind: SpanKind, parent: str, attributes: Attributes, since_ns: int, until_ns: int
) -> None:
    """Record a span that has ended, between two times of `time.time_ns`."""
    if _tracer is not None:
        _tracer.past(name, kind, parent, attributes, since_ns, until_ns)


def current_traceparent() -> str | None:
    """The traceparent of the running span, if it is recorded."""
    return None if _tracer is None else _tracer.current()


def shut_down_tracing() -> None:
    """Send the remaining spans."""
    if _tracer is not None:
        _tracer.shutdown()
        use_tracer(None)


def _is_asked_for(environment: Mapping[str, str]) -> bool:
    def value(*names: str) -> str:
        return next((found for name in names if (found := environment.get(name, "").strip())), "")

    exporter = value("OTEL_TRACES_EXPORTER")
    endpoint = value("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    disabled = value("OTEL_SDK_DISABLED").lower() == "true"
    if disabled or exporter == "none" or not (exporter or endpoint):
        return False
    if exporter not in {"", "otlp"}:
        raise TracingError(f"OTEL_TRACES_EXPORTER={exporter}: there is `otlp` and `none`")
    protocol = value("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL") or _PROTOCOL
    if protocol != _PROTOCOL:
        raise TracingError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: there is `{_PROTOCOL}`, mostly at port 4318"
        )
    return True
