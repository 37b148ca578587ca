"""What a span is, and what records spans: shared by `waybill_worker.observe.tracing` and its tracers."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

#: What a span may tell, by name (https://opentelemetry.io/docs/specs/semconv/ where they have one).
Attributes = Mapping[str, str | int | float | bool]


class SpanKind(StrEnum):
    """Who a span speaks with."""

    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"
    INTERNAL = "internal"


class Span(Protocol):
    """Something that is being done."""

    @property
    def traceparent(self) -> str | None:
        """What makes a later span its child; None where nobody records."""

    def set(self, name: str, value: str | float | bool) -> None:  # noqa: FBT001 - any value is one
        """Adds an attribute."""

    def rename(self, name: str) -> None:
        """Names it anew, when more is known of it."""

    def failed(self, error_type: str) -> None:
        """Marks it as failed; only the type of what went wrong is told."""


class Tracer(Protocol):
    """Records spans."""

    def span(
        self, name: str, kind: SpanKind, parent: str | None, attributes: Attributes
    ) -> AbstractContextManager[Span]:
        """A span for the length of the block; an exception that leaves the block marks it as failed."""

    def past(
        self, name: str, kind: SpanKind, parent: str, attributes: Attributes, since_ns: int, until_ns: int
    ) -> None:
        """A span that is over, between two times of `time.time_ns`."""

    def current(self) -> str | None:
        """The traceparent of the span that runs, if it is recorded."""

    def shutdown(self) -> None:
        """Sends what is left, within a few seconds."""
