"""Makes an output line readable: JSON log lines (structlog's) are laid out, other lines stay as they are."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

#: What is shown of a line; the log file has all of it.
MAX_SHOWN_CHARS = 2_000
#: Lines of a traceback that are shown, the last ones: they say what happened.
MAX_TRACE_LINES = 30
#: As wide as the longest level in use, "warning".
LEVEL_WIDTH = 7
#: Keys that have a place of their own in the line.
LAID_OUT = frozenset({"timestamp", "level", "event", "exception"})

#: Control sequences of terminals (ECMA-48, section 5.4).
ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def render(line: str, name: str, style: Callable[[str, str], str], now: datetime | None = None) -> str:
    """Lay out one line of a child's output, without its newline.

    Args:
        line: as the child wrote it.
        name: the child's, padded to the width of the column.
        style: given a word (`name`, or a level such as `error`) and a text, returns the text in its colour.
        now: the time of a line that has none of its own.

    Returns:
        `12:00:01 email    info    mail sent  task_id=… attempt=1`, in local time; a traceback follows on
        lines of its own. Any other line, cut to a sane length, after time and name.
    """
    record = _record(line)
    label = style("name", name)
    if record is None:
        return f"{_clock(now or datetime.now(UTC))} {label} {_cut(_printable(line))}"
    level = str(record["level"])
    pairs = " ".join(f"{key}={_value(value)}" for key, value in record.items() if key not in LAID_OUT)
    event = _value(record["event"], quote=False)
    text = _cut(f"{event}  {pairs}" if pairs else event)
    shown = f"{_time(record, now)} {label} {style(level, level.ljust(LEVEL_WIDTH))} {text}"
    trace = str(record.get("exception") or "").splitlines()[-MAX_TRACE_LINES:]
    return "\n".join([shown, *(f"         {label} {_cut(_printable(row))}" for row in trace)])


def _record(line: str) -> dict[str, Any] | None:
    """The line's fields if it is a log line in JSON."""
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):  # a line that only looks like one is shown as it is
        return None
    return record if isinstance(record, dict) and "event" in record and "level" in record else None


def _time(record: dict[str, Any], now: datetime | None) -> str:
    try:
        return _clock(datetime.fromisoformat(record["timestamp"]))
    except (KeyError, TypeError, ValueError):  # no time in the line: that of its arrival
        return _clock(now or datetime.now(UTC))


def _clock(moment: datetime) -> str:
    return moment.astimezone().strftime("%H:%M:%S")


def _value(value: object, *, quote: bool = True) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    plain = value.isprintable() and (not quote or (value != "" and " " not in value))
    return value if plain else json.dumps(value, ensure_ascii=False)


def _printable(text: str) -> str:
    # A child's colours and cursor movements are not for our terminal.
    if text.isprintable():
        return text
    return "".join(c for c in ESCAPE_SEQUENCE.sub("", text) if c.isprintable() or c == "\t")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}… ({len(text)} characters)"
