"""A connection whose end is noticed to be late."""

import asyncio
from collections.abc import Callable
from typing import Any


class WatchedClose:
    """A transport, besides that it tells when a close has to wait for somebody to read.

    A transport that is closed sends what is left first, and waits for ever for whoever does not take it.

    Args:
        transport: does everything.
        on_waiting: called when it has been closed, and is not ended by that.
    """

    def __init__(self, transport: asyncio.Transport, on_waiting: Callable[[], None]) -> None:
        self._transport, self._on_waiting = transport, on_waiting
        # What each answer needs is had without a detour.
        self.write, self.is_closing = transport.write, transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Ends it once all is sent."""
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._on_waiting()
