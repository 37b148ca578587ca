"""Shows the output of many processes as one readable stream: a name and a colour each."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TextIO

#: ANSI colours that are readable on dark and light backgrounds, one for each process in turn.
COLOURS = (36, 33, 35, 32, 34, 31, 96, 93)
RESET = "\x1b[0m"
#: What a level looks like.
LEVEL_COLOURS = {"warning": 33, "error": 31, "critical": 31}
#: Longer lines are cut on the screen; the log file has them whole.
MAX_WIDTH = 400
#: Keys with a place of their own in a line, or that say nothing to a person.
PLACED = frozenset({"timestamp", "level", "event", "process", "module", "service", "exception", "logger"})


class LogView:
    """Renders lines of processes to a stream."""

    def __init__(self, names: Iterable[str], stream: TextIO, *, colour: bool) -> None:
        self._stream = stream
        self._colour = colour
        listed = list(names)
        self._width = max(map(len, listed), default=0)
        self._colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(listed)}

    def show(self, name: str, line: str) -> None:
        """Shows one line of a process's output; a JSON log line as people write it."""
        for text in self._rendered(line):
            cut = text if len(text) <= MAX_WIDTH else text[:MAX_WIDTH] + " …"
            self._stream.write(
                f"{self._painted(name.ljust(self._width), self._colours.get(name, 37))}  {cut}\n"
            )
        self._stream.flush()

    def _rendered(self, line: str) -> Iterable[str]:
        fields = _json_object(line)
        if fields is None or "event" not in fields:
            yield line
            return
        level = str(fields.get("level", "info"))
        words = [_clock(fields.get("timestamp")), self._painted(level.ljust(7), LEVEL_COLOURS.get(level, 2))]
        words.append(str(fields["event"]))
        words += [self._painted(f"{key}={value}", 2) for key, value in fields.items() if key not in PLACED]
        yield "  ".join(words[:3]) + "".join(f" {word}" for word in words[3:])
        if exception := fields.get("exception"):
            yield from str(exception).splitlines()

    def _painted(self, text: str, colour: int) -> str:
        return f"\x1b[{colour}m{text}{RESET}" if self._colour else text


def wants_colour(stream: TextIO, environment: dict[str, str]) -> bool:
    """Colour only on a terminal, and not if NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not environment.get("NO_COLOR")


def _json_object(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        fields: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return fields


def _clock(timestamp: object) -> str:
    try:
        return datetime.fromisoformat(str(timestamp)).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return "--:--:--"
