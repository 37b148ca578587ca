"""The trace that the application is in (W3C Trace Context), if it uses OpenTelemetry."""

import sys
from typing import Final

TRACEPARENT: Final = "traceparent"


def trace_headers() -> dict[str, str]:
    """The headers that carry it; empty: there is none."""
    # An application that has never imported it has no span.
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry.propagate import inject  # noqa: PLC0415 - not a dependency: the application has it

    headers: dict[str, str] = {}
    inject(headers)
    return headers
