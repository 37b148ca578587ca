"""Times as people write and read them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

_AGO: Final = re.compile(r"(?P<number>\d{1,6})(?P<unit>[smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
#: Each larger unit begins where it can be told in whole numbers above one.
_STEPS: Final = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


class Moment(click.ParamType[datetime]):
    """`2h` (ago), or ISO 8601; without a zone it is the time here."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Reads it; a wrong one ends the command with a usage error."""
        if isinstance(value, datetime):
            return value
        if match := _AGO.fullmatch(value):
            return datetime.now(UTC) - timedelta(**{_UNITS[match["unit"]]: int(match["number"])})
        try:
            return datetime.fromisoformat(value).astimezone()
        except ValueError:
            self.fail(f"{value!r} is neither like 30m, 2h, 7d nor like 2026-03-01T12:00", param, ctx)


def age(text: str | None, now: datetime | None = None) -> str:
    """How long ago an ISO time was, in its largest unit: `4m`, `3h`, `2d`; `in 4m` if it is to come."""
    if not text:
        return "-"
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(text)).total_seconds()
    told = span(abs(seconds))
    return f"in {told}" if seconds < 0 else told


def due(text: str | None, now: datetime | None = None) -> str:
    """When an ISO time is to come: `in 4m`; `4m late` if it has passed."""
    told = age(text, now)
    return told if told == "-" or told.startswith("in ") else f"{told} late"


def span(seconds: float) -> str:
    """A length of time in its largest unit."""
    for size, unit in _STEPS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def when(text: str | None) -> str:
    """An ISO time as the clock here showed it, with its zone."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z") if text else "-"
