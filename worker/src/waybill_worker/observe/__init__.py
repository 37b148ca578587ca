"""Logs, metrics and traces."""

from waybill_worker.observe.frequent_line import FrequentLine
from waybill_worker.observe.logs import configure_logging, get_logger, mask_lines
from waybill_worker.observe.metrics import exposition, make_registry
from waybill_worker.observe.shared_metrics import forget_gauges, share_metrics, shared_registry
from waybill_worker.observe.spans import Attributes, Span, SpanKind
from waybill_worker.observe.tracing import (
    configure_tracing,
    current_traceparent,
    is_tracing,
    past_span,
    shut_down_tracing,
    span,
)

__all__ = [
    "Attributes",
    "FrequentLine",
    "Span",
    "SpanKind",
    "configure_logging",
    "configure_tracing",
    "current_traceparent",
    "exposition",
    "forget_gauges",
    "get_logger",
    "is_tracing",
    "make_registry",
    "mask_lines",
    "past_span",
    "share_metrics",
    "shared_registry",
    "shut_down_tracing",
    "span",
]
