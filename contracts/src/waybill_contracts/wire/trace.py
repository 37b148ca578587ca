"""The trace that a task belongs to: W3C Trace Context, level 1 (https://www.w3.org/TR/trace-context-1/)."""

import os
import re
from typing import Final

#: Version, trace id, span id, flags; a later version may add more after them (section 3.2.2, 3.2.4).
_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?"
)
_VERSION: Final = "00"
_LENGTH: Final = 55
_SAMPLED: Final = "01"


def new_traceparent() -> str:
    """Returns the traceparent of a new trace; sampled, so that exporters can decide."""
    ids = os.urandom(24).hex()
    return f"{_VERSION}-{ids[:32]}-{ids[32:]}-{_SAMPLED}"


def accepted_traceparent(text: str | None) -> str | None:
    """Returns the traceparent of a caller, cut to this version; None if it is missing or invalid."""
    match = _TRACEPARENT.fullmatch(text) if text else None
    # Only a later version may be longer.
    if text is None or match is None or (match[3] and text.startswith(_VERSION)):
        return None
    return _VERSION + text[2:_LENGTH]


def trace_id_of(traceparent: str | None) -> str | None:
    """Returns the id of the trace, 32 hex digits; None if the traceparent is missing or invalid."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return None if match is None else match[1]
