"""Log lines of an outage, once a minute: they say the same each time that something is tried again."""

import logging
import threading
from collections.abc import Callable, MutableMapping
from time import monotonic
from typing import Any, Final

import structlog

#: Seconds in which the same is said once.
REPEAT_SECONDS: Final = 60.0
#: The field of a line of our own that is to be said once a minute, whatever its other fields are: True, or
#: of what, if it is once a minute of each.
ONCE_A_MINUTE: Final = "once_a_minute"
#: The clients of the broker, which say the same at each attempt and for each connection and channel.
_CLIENTS: Final = ("aio_pika", "aiormq")
#: What aiormq says of each attempt beside aio_pika, or our own line.
_SAID_TWICE: Final = "error when creating transport"
#: Lines that are remembered: there are some tens of them in the code.
_MOST: Final = 1000


class Repeats:
    """Which lines have been said within the last minute.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        #: When each was said, and how often it was not since.
        self._said: dict[str, tuple[float, int]] = {}

    def left_out(self, line: str) -> int | None:
        """How often it was left out since it was last said; None: it is to be left out now, too."""
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
    """Lets each line of the broker's clients through once a minute."""

    def __init__(self, repeats: Repeats) -> None:
        super().__init__()
        self._repeats = repeats

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is said."""
        if record.name.partition(".")[0] not in _CLIENTS or record.levelno < logging.WARNING:
            return True
        # The text without what differs: addresses, pauses, channels.
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
    """The same for our own lines, as a processor of structlog's."""

    def process(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if what := line.pop(ONCE_A_MINUTE, False):
            left_out = repeats.left_out(f"{line.get('module')} {line['event']} {what}")
            if left_out is None:
                raise structlog.DropEvent
            if left_out:
                line["left_out"] = left_out
        return line

    return process
