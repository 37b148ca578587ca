"""Times, durations, numbers and texts as every page shows them. Pure."""

import json
import unicodedata
from datetime import UTC, datetime
from typing import Any, Final

from markupsafe import Markup, escape

from waybill_gateway.words import relative

#: Unicode categories that would reorder or hide text: control, format, line separators, halves of pairs.
_HARMFUL: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
#: Of these, what words and pictures are made of: soft hyphens and joiners.
_JOINERS: Final = frozenset("\u00ad\u200c\u200d")
#: Characters of a payload that a page shows.
MOST_SHOWN: Final = 64_000
#: Characters of a result or of details in a row.
MOST_IN_A_ROW: Final = 300
#: Smaller ones are shown as less than that.
_LEAST_RATE: Final = 0.001
#: Characters of an id that a listing shows: the end, which is random.
_SHORT_ID: Final = 8


def visible(value: Any) -> Any:
    """Text with characters that reorder or hide text written out, as [U+202E]; other values as they are.

    Templates pass all that they show through it.
    """
    if not isinstance(value, str) or value.isprintable():
        return value
    if isinstance(value, Markup):
        return value
    return "".join(map(_shown, value))


def as_sent(text: str) -> Markup:
    """Text for a field of a form, which a browser sends back as it is: nothing in it is written out."""
    return escape(text)


def is_exact(text: str) -> bool:
    """Whether a field of a form shows a text so that nothing in it misleads, and sends it back as it is."""
    return text.isprintable() or not any(_is_harmful(each) and each not in _JOINERS for each in text)


def exact_json(value: Any) -> str:
    """JSON for a field of a form: what would reorder or hide text is written as its escape."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return text if text.isprintable() else "".join(map(_escaped, text))


def ago(moment: datetime, now: datetime) -> Markup:
    """A time relative to now, with the absolute one as its title."""
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.isoformat(), absolute(moment), relative(moment, now)
    )


def absolute(moment: datetime) -> str:
    """A time to the millisecond, in UTC."""
    at = moment.astimezone(UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC"


def in_its_zone(moment: datetime) -> str:
    """A time to the minute, in the zone that it is in."""
    return f"{moment:%a %Y-%m-%d %H:%M %Z}"


def number(value: float) -> str:
    """A number with its thousands set apart."""
    return f"{value:,}"


def rate(value: float) -> str:
    """A number that is no whole one, with as many digits as are worth reading: 0.02, 4.1, 312, 12,400."""
    for least, digits in ((100, 0), (10, 1), (1, 1), (0.1, 2)):
        if value >= least:
            return f"{value:,.{digits}f}"
    return f"{value:.2g}" if value >= _LEAST_RATE else f"< {_LEAST_RATE}"


def short_id(task_id: str) -> str:
    """The end of an id: two ids of one second begin with the same digits."""
    return task_id[-_SHORT_ID:]


def json_text(value: Any) -> str:
    """JSON for people, cut where it would fill screens."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if len(text) > MOST_SHOWN:
        return f"{text[:MOST_SHOWN]}\n… cut: {len(text):,} characters in all"
    return text


def json_line(value: Any) -> str:
    """JSON on one line, cut where a row ends."""
    return clipped(json.dumps(value, ensure_ascii=False))


def clipped(text: str) -> str:
    """The beginning of a text, for a row."""
    return text if len(text) <= MOST_IN_A_ROW else f"{text[:MOST_IN_A_ROW]}…"


def _is_harmful(character: str) -> bool:
    return character not in "\n\t" and unicodedata.category(character) in _HARMFUL


def _shown(character: str) -> str:
    return f"[U+{ord(character):04X}]" if _is_harmful(character) else character


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if _is_harmful(character) else character
