"""Progress of an attempt: the latest that its handler reports is sent, at most once a second."""

import asyncio
from collections.abc import Callable
from typing import Final

from waybill_contracts.privacy import Mask
from waybill_contracts.wire import ProgressInfo
from waybill_worker.observe import get_logger

log = get_logger(__name__)

#: Seconds between two reports of one attempt.
INTERVAL_SECONDS: Final = 1.0
#: Sends progress; returns what is done once it has arrived.
SendProgress = Callable[[ProgressInfo], asyncio.Future[None]]


class ProgressReports:
    """Sends the progress of one run; never fails and never waits, whatever the broker does.

    Args:
        send: sends it.
        mask: hides what is sensitive in its text.
    """

    def __init__(self, send: SendProgress, mask: Mask) -> None:
        self._loop = asyncio.get_running_loop()
        self._send = send
        self._mask = mask
        #: What was reported and not sent yet: only the latest counts.
        self._latest: tuple[float | None, str] | None = None
        #: Whether `_send_latest` will be called.
        self._is_due = False
        self._sent: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._has_ended = False

    def report(self, share: float | None, text: str) -> None:
        """Reports progress, from any thread; it replaces what was not sent yet."""
        self._latest = (share, text)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon_threadsafe(self._send_latest)

    def end(self) -> None:
        """Drops what was not sent: the outcome makes it obsolete."""
        self._has_ended = True
        if self._timer is not None:
            self._timer.cancel()

    def _send_latest(self) -> None:
        # In this order: a thread that reports meanwhile either is seen here, or calls this again.
        self._is_due = False
        latest = self._latest
        if latest is None or self._has_ended:
            return
        self._is_due = True
        # While the broker is away nothing piles up: the latest is sent once the one before has arrived.
        if self._sent is None or self._sent.done():
            self._latest = None
            self._sent = self._send_one(*latest)
        self._timer = self._loop.call_later(INTERVAL_SECONDS, self._send_latest)

    def _send_one(self, share: float | None, text: str) -> asyncio.Future[None] | None:
        try:
            return self._send(ProgressInfo.of(share, text, self._mask))
        except Exception:  # what a handler says of its work must not harm the work
            log.exception("progress was left out; the work goes on")
            return None
