"""How much low work may wait in the queue of a service: about half a second of work, found by trial."""

import math
from typing import Final

from waybill_worker.broker import QueueStats

#: Seconds of work that may wait in the queue, and so delay urgent work.
HORIZON_SECONDS: Final = 0.5
#: Least and most messages that may wait, for very slow and very fast services.
LEAST, MOST = 5, 1000
#: Seconds after which queue statistics are out of date.
STALE_SECONDS: Final = 5.0
#: Seconds after which one message is published even if the queue stays long, so that nothing starves.
TURN_SECONDS: Final = 1.0
#: Least seconds between two readings to compute a speed.
_LEAST_ELAPSED: Final = 0.01


class Window:
    """The window of one service."""

    def __init__(self) -> None:
        self._size = LEAST
        #: Messages waiting after the last reading and feed, and its time.
        self._left = 0
        self._read_at = -math.inf
        self._fed_at = -math.inf

    def room(self, stats: QueueStats, now: float) -> int:
        """Number of messages that may be published now; `now` in monotonic seconds."""
        self._resize(stats.waiting, now)
        self._read_at = now
        self._left = stats.waiting
        room = max(self._size - stats.waiting, 0)
        if room == 0 and stats.consumers and now - self._fed_at >= TURN_SECONDS:
            return 1
        return room

    def feed(self, messages: int, now: float) -> None:
        """Records the number of messages that were published after the last reading."""
        if messages:
            self._left += messages
            self._fed_at = now

    def _resize(self, waiting: int, now: float) -> None:
        if now - self._read_at > STALE_SECONDS:
            self._size = LEAST
            return
        if waiting == 0:
            # The queue may have run empty: only a larger window shows how fast the service is.
            self._size = min(self._size * 2, MOST) if self._left else self._size
            return
        # Messages of other publishers make the service look slower, and so leave less room.
        done_a_second = max(self._left - waiting, 0) / max(now - self._read_at, _LEAST_ELAPSED)
        self._size = min(max(round(done_a_second * HORIZON_SECONDS), LEAST), MOST)
