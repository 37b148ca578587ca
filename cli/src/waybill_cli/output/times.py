"""Times as text for people."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

_AGO: Final = re.compile(r"(?P<number>\d{1,6})(?P<unit>[smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
#: Seconds in each unit, the largest first.
_STEPS: Final = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


class Moment(click.ParamType[datetime]):
    """`2h` (ago), or ISO 8601; local time if it has no zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parses a time; a wrong one is a usage error."""
        if isinstance(value, datetime):
            return value
        if match := _AGO.fullmatch(value):
            return datetime.now(UTC) - timedelta(**{_UNITS[match["unit"]]: int(match["number"])})
        try:
            return datetime.fromisoformat(value).astimezone()
        except ValueError:
            self.fail(f"{value!r} is neither like 30m, 2h, 7d nor like 2026-03-01T12:00", param, ctx)


def age(text: str | None, now: datetime | None = None) -> str:
    """Age of an ISO time in its largest unit: `4m`, `3h`, `2d`; `in 4m` if it is in the future."""
    if not text:
        return "-"
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(text)).total_seconds()
    length = span(abs(seconds))
    return f"in {length}" if seconds < 0 else length


def due(text: str | None, now: datetime | None = None) -> str:
    """Time until an ISO time: `in 4m`; `4m late` if it has passed."""
    found = age(text, now)
    return found if found == "-" or found.startswith("in ") else f"{found} late"


def span(seconds: float) -> str:
    """A duration in its largest unit."""
    for size, unit in _STEPS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def when(text: str | None) -> str:
    """An ISO time in the local zone, with the name of the zone."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z") if text else "-"
