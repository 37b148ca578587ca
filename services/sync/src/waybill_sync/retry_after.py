"""Reads the `Retry-After` header (RFC 9110, 10.2.3)."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: No server may delay a task for longer: a day covers every maintenance window, more is a mistake.
MAX_RETRY_AFTER_SECONDS = 24 * 60 * 60.0
#: `delay-seconds` of RFC 9110: ASCII digits and nothing else; twelve are more than any delay needs.
_DELAY_SECONDS = re.compile(r"[0-9]{1,12}")


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Convert the header into a delay.

    Args:
        value: a number of seconds, or an HTTP date in any of its three forms; None if there was no header.
        now: the current time, aware.

    Returns:
        Seconds from 0 to 86,400; None if the header is missing or malformed.
    """
    if value is None:
        return None
    text = value.strip()
    if _DELAY_SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        # The asctime form names no zone; HTTP dates are in UTC (RFC 9110, 5.6.7).
        seconds = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
