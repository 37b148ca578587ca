"""Headers of every call."""

import sys
from functools import cache
from importlib.metadata import version


@cache
def user_agent() -> str:
    """The value of User-Agent."""
    return f"waybill-python/{version('waybill')}"


def trace_headers() -> dict[str, str]:
    """The trace that the application is in (W3C Trace Context), if it uses OpenTelemetry."""
    # An application that has never imported it has no span.
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry.propagate import inject  # noqa: PLC0415 - not a dependency: the application has it

    headers: dict[str, str] = {}
    inject(headers)
    return headers
