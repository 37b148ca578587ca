"""What the handlers of a service use: connections, pools, worker processes."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext

from waybill_worker.runtime import Component, configuring

#: Errors that a wrong setting causes; other errors of the operating system, as of a connection, may pass.
_WRONG_SETTING = (ValueError, FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)


class Resources(Component):
    """The resources of a service's handlers, open from before the first attempt until after the last one.

    They are opened and closed in one task, because some can only be closed in the task that opened them.

    Args:
        opened: opens them when it is entered, and closes them when it is left; entered once.
    """

    def __init__(self, opened: AbstractAsyncContextManager[object] | None = None) -> None:
        self._opened = nullcontext() if opened is None else opened
        self._ready = asyncio.Event()
        self._closing = asyncio.Event()
        self._held: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open them.

        Raises:
            MisconfiguredError: opening raised a ValueError, or a file or folder is missing or denied.
        """
        held = self._held = asyncio.create_task(self._hold(), name="resources")
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait((held, ready), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if held.done():
            self._held = None
            with configuring(*_WRONG_SETTING):
                held.result()

    async def stop(self) -> None:
        """Close them; what is still being opened is given up."""
        held, self._held = self._held, None
        if held is None:
            return
        self._closing.set()
        if not self._ready.is_set():
            held.cancel()
        await asyncio.wait([held])
        if not held.cancelled():
            held.result()

    async def _hold(self) -> None:
        async with self._opened:
            self._ready.set()
            await self._closing.wait()
