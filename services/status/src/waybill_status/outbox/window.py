"""How much low work may stand in a service's queue: about what it does in half a second, found by trying."""

import math
from typing import Final

from waybill_worker.broker.connection import QueueStats

#: Seconds of work that may stand in the queue, and so in the way of work that is in a hurry.
HORIZON_SECONDS: Final = 0.5
#: Messages that may wait however slow the service is, and however fast.
LEAST, MOST = 5, 1000
#: Seconds without a look after which nothing is known any more.
STALE_SECONDS: Final = 5.0
#: Seconds after which one message goes out even if the queue never gets short: nothing starves.
TURN_SECONDS: Final = 1.0
#: Two looks at once tell nothing of a speed.
_LEAST_ELAPSED: Final = 0.01


class Window:
    """The window of one service."""

    def __init__(self) -> None:
        self._size = LEAST
        #: What was waiting after the last look and feed, and when.
        self._left = 0
        self._looked_at = -math.inf
        self._fed_at = -math.inf

    def room(self, look: QueueStats, now: float) -> int:
        """How many messages may be fed now (`now` in seconds, of any clock that only goes forward)."""
        self._resize(look.waiting, now)
        self._looked_at = now
        self._left = look.waiting
        room = max(self._size - look.waiting, 0)
        if room == 0 and look.consumers and now - self._fed_at >= TURN_SECONDS:
            return 1
        return room

    def feed(self, messages: int, now: float) -> None:
        """Takes note that so many messages were published after the last look."""
        if messages:
            self._left += messages
            self._fed_at = now

    def _resize(self, waiting: int, now: float) -> None:
        if now - self._looked_at > STALE_SECONDS:
            self._size = LEAST
            return
        if waiting == 0:
            # It may have run dry: only a larger window tells how fast the service can be.
            self._size = min(self._size * 2, MOST) if self._left else self._size
            return
        # What others publish meanwhile makes the service look slower: then there is the less room for us.
        done_a_second = max(self._left - waiting, 0) / max(now - self._looked_at, _LEAST_ELAPSED)
        self._size = min(max(round(done_a_second * HORIZON_SECONDS), LEAST), MOST)
