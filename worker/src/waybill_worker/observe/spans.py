"""Interfaces of spans and tracers, shared by `waybill_worker.observe.tracing` and its tracers."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

#: Attributes of a span by name (https://opentelemetry.io/docs/specs/semconv/ where they have one).
Attributes = Mapping[str, str | int | float | bool]


class SpanKind(StrEnum):
    """The role of a span."""

    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"
    INTERNAL = "internal"


class Span(Protocol):
    """An operation that runs."""

    @property
    def traceparent(self) -> str | None:
        """The header value that makes a later span its child; None without tracing."""

    def set(self, name: str, value: str | float | bool) -> None:  # noqa: FBT001 - any value is one
        """Add an attribute."""

    def rename(self, name: str) -> None:
        """Change its name, once more is known."""

    def failed(self, error_type: str) -> None:
        """Mark it as failed; only the type of the error is recorded."""


class Tracer(Protocol):
    """Records spans."""

    def span(
        self, name: str, kind: SpanKind, parent: str | None, attributes: Attributes
    ) -> AbstractContextManager[Span]:
        """A span for the length of the block; an exception that leaves the block marks it as failed."""

    def past(
        self, name: str, kind: SpanKind, parent: str, attributes: Attributes, since_ns: int, until_ns: int
    ) -> None:
        """Record a span that has ended, between two times of `time.time_ns`."""

    def current(self) -> str | None:
        """The traceparent of the running span, if it is recorded."""

    def shutdown(self) -> None:
        """Send the remaining spans, within a few seconds."""
