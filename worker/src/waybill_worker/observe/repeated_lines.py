"""Logs the lines of an outage once a minute, and not for each new try."""

import logging
import threading
from collections.abc import Callable, MutableMapping
from time import monotonic
from typing import Any, Final

import structlog

#: Seconds in which a line is logged once.
REPEAT_SECONDS: Final = 60.0
#: Field of our own lines that are logged once a minute, whatever their other fields: True, or the thing for
#: each of which the line is logged once a minute.
ONCE_A_MINUTE: Final = "once_a_minute"
#: The clients of the broker, which repeat a line at each attempt and for each connection and channel.
_CLIENTS: Final = ("aio_pika", "aiormq")
#: A line of aiormq that repeats one of aio_pika, or our own.
_SAID_TWICE: Final = "error when creating transport"
#: Lines that are kept in memory: the code has some tens of them.
_MOST: Final = 1000


class Repeats:
    """The lines that were logged within the last minute.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        #: When each was logged, and how often it was left out since.
        self._said: dict[str, tuple[float, int]] = {}

    def left_out(self, line: str) -> int | None:
        """How often it was left out since it was last logged; None: leave it out now, too."""
        with self._lock:
            now = self._clock()
            said, left_out = self._said.get(line, (None, 0))
            if said is not None and now - said < REPEAT_SECONDS:
                self._said[line] = said, left_out + 1
                return None
            if len(self._said) >= _MOST:
                self._said.clear()
            self._said[line] = now, 0
            return left_out


class ClientRepeats(logging.Filter):
    """Passes each line of the broker's clients once a minute."""

    def __init__(self, repeats: Repeats) -> None:
        super().__init__()
        self._repeats = repeats

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is logged."""
        if record.name.partition(".")[0] not in _CLIENTS or record.levelno < logging.WARNING:
            return True
        # The text without its arguments, which differ: addresses, pauses, channels.
        text = str(record.msg)
        if text.startswith(_SAID_TWICE):
            return False
        left_out = self._repeats.left_out(f"{record.name} {text}")
        if left_out:
            record.left_out = left_out
        return left_out is not None


def leave_out_repeats(
    repeats: Repeats,
) -> Callable[[object, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    """A processor of structlog that logs marked lines of our own once a minute."""

    def process(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if what := line.pop(ONCE_A_MINUTE, False):
            left_out = repeats.left_out(f"{line.get('module')} {line['event']} {what}")
            if left_out is None:
                raise structlog.DropEvent
            if left_out:
                line["left_out"] = left_out
        return line

    return process
