"""Turns: how many attempts of one kind run at once in this process.

A message whose kind has no free place waits here, unclaimed, for as long as few do and for a short time: each
takes one of the places that the prefetch gives to all kinds of the queue. Any other is sent back to wait on
the delay ladder, for about as long as it takes until its turn would come. So a backlog of a slow kind passes
by, and the messages of other kinds behind it are reached.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final

from waybill_worker.attempt import Handler

#: Of the prefetch, the part that may wait here for a turn, all kinds together.
WAITING_SHARE: Final = 1 / 4
#: Seconds that a message may wait here: the broker takes back what is not acknowledged in 30 minutes, and its
#: attempt may take nearly as long.
WAITING_SECONDS: Final = 60.0
#: Seconds of the shortest and of the longest wait on the ladder.
SHORTEST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 900.0
#: How much the newest attempt counts in the average time of one.
_NEWEST: Final = 0.2


class _Kind:
    """The places of one kind."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.running = 0
        self.waiting: deque[asyncio.Future[None]] = deque()
        #: Average time of an attempt.
        self.seconds = 1.0
        #: When the turn comes of the message that was sent back last.
        self.due = 0.0


def _places(handler: Handler, prefetch: int) -> int | None:
    # The prefetch counts only messages that are not acknowledged: those of long attempts are.
    return prefetch if handler.concurrency is None and handler.limits.is_long else handler.concurrency


class Turns:
    """The places of the kinds with a limit.

    Args:
        handlers: the handlers by kind, with their concurrency.
        prefetch: messages that the broker gives this process at once.
        clock: seconds that only go forward.
    """

    def __init__(
        self, handlers: Mapping[str, Handler], prefetch: int, *, clock: Callable[[], float] = monotonic
    ) -> None:
        places = {kind: _places(each, prefetch) for kind, each in handlers.items()}
        self._kinds = {kind: _Kind(number) for kind, number in places.items() if number is not None}
        self._most_waiting = max(1, int(prefetch * WAITING_SHARE))
        self._waiting = 0
        self._clock = clock

    async def take(self, kind: str) -> float | None:
        """Waits for a place.

        Returns:
            None: it has one, until `leave`; else the seconds for which it is to wait on the ladder.

        Raises:
            asyncio.CancelledError: the process stops.
        """
        limited = self._kinds.get(kind)
        if limited is None:
            return None
        if limited.running < limited.places:
            limited.running += 1
            return None
        if self._waiting >= self._most_waiting:
            return self._seconds_back(limited)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        limited.waiting.append(turn)
        self._waiting += 1
        try:
            async with asyncio.timeout(WAITING_SECONDS):
                await turn
        except TimeoutError:
            # Its turn may come in the very moment in which the wait ends.
            return None if _has_come(turn) else self._seconds_back(limited)
        except asyncio.CancelledError:
            if _has_come(turn):
                self.leave(kind)  # its turn came together with the end
            raise
        finally:
            self._waiting -= 1
            if turn in limited.waiting:
                limited.waiting.remove(turn)
        return None

    def leave(self, kind: str) -> None:
        """Gives a place to the next one."""
        limited = self._kinds.get(kind)
        if limited is None:
            return
        while limited.waiting:
            turn = limited.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        limited.running -= 1

    def took(self, kind: str, seconds: float) -> None:
        """Notes how long an attempt took."""
        if (limited := self._kinds.get(kind)) is not None:
            limited.seconds += _NEWEST * (seconds - limited.seconds)

    def stop(self) -> None:
        """Lets none wait any more: their messages go back to the broker."""
        for limited in self._kinds.values():
            for turn in limited.waiting:
                turn.cancel()

    def _seconds_back(self, limited: _Kind) -> float:
        # They come back one after the other, as fast as this process works.
        now = self._clock()
        limited.due = max(limited.due, now) + limited.seconds / limited.places
        limited.due = min(limited.due, now + LONGEST_SECONDS)
        return max(SHORTEST_SECONDS, limited.due - now)


def _has_come(turn: asyncio.Future[None]) -> bool:
    return turn.done() and not turn.cancelled()
