"""A transport that reports a late close."""

import asyncio
from collections.abc import Callable
from typing import Any


class WatchedClose:
    """A transport that reports a close which has to wait for the peer to read.

    A transport that is closed first sends the rest of its data, and waits for ever if the peer does not read.

    Args:
        transport: the transport itself.
        on_waiting: called when it was closed, but still has data to send.
    """

    def __init__(self, transport: asyncio.Transport, on_waiting: Callable[[], None]) -> None:
        self._transport, self._on_waiting = transport, on_waiting
        # Each answer uses these: without the detour through `__getattr__`.
        self.write, self.is_closing = transport.write, transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Closes it after all data was sent."""
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._on_waiting()
