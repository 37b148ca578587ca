"""Lengths of time that end now, as forms offer them."""

from datetime import timedelta
from types import MappingProxyType
from typing import Final, Literal

#: Name of a length of time.
Within = Literal["15m", "1h", "1d", "7d", "30d"]
#: Each with its words.
WINDOWS: Final = MappingProxyType(
    {
        "15m": ("last 15 minutes", timedelta(minutes=15)),
        "1h": ("last hour", timedelta(hours=1)),
        "1d": ("last day", timedelta(days=1)),
        "7d": ("last 7 days", timedelta(days=7)),
        "30d": ("last 30 days", timedelta(days=30)),
    }
)
#: The words alone.
WINDOW_WORDS: Final = MappingProxyType({name: words for name, (words, _) in WINDOWS.items()})
