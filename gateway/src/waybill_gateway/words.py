"""Lengths of time in words, as pages and answers show them. Pure."""

from datetime import UTC, datetime
from typing import Final

MINUTE, HOUR, DAY = 60, 3600, 86_400
#: Days after which a date is easier to read than their number.
MOST_DAYS: Final = 30


def duration(seconds: float) -> str:
    """A length of time, two units at most: 240 ms, 1.2 s, 3 min 12 s, 2 h 5 min, 3 d 4 h."""
    if seconds < 1:
        return f"{max(round(seconds * 1000), 0)} ms"
    if seconds < 10:  # noqa: PLR2004 - one digit before the point, one behind it
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, smaller_unit in (
        (DAY, "d", HOUR, "h"),
        (HOUR, "h", MINUTE, "min"),
        (MINUTE, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {smaller_unit}" if rest else "")
    return f"{whole} s"


def relative(moment: datetime, now: datetime) -> str:
    """A time relative to now; a date where that is easier to read."""
    seconds = (now - moment).total_seconds()
    if abs(seconds) >= MOST_DAYS * DAY:
        return f"{moment.astimezone(UTC):%Y-%m-%d}"
    if abs(seconds) < 1:
        return "now"
    return f"{_rough(seconds)} ago" if seconds > 0 else f"in {_rough(-seconds)}"


def _rough(seconds: float) -> str:
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"
