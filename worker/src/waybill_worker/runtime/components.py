"""What a process is made of: components with a start and a stop."""

import asyncio
from contextlib import AsyncExitStack

from waybill_worker.observe import get_logger

log = get_logger(__name__)


class Component:
    """A part of a process; each kind overrides what it needs."""

    async def start(self) -> None:
        """Begin its work; wait for what is away.

        Raises:
            MisconfiguredError: it cannot begin until people correct something.
        """

    async def wait_failed(self) -> int | None:
        """Return only when it cannot work any more.

        Returns:
            The exit code of the process; None: `EXIT_BROKEN`.
        """
        await asyncio.Event().wait()
        return None

    async def stop(self) -> None:
        """End its work; also called if `start` was cancelled, failed, or was never called."""


class Components(Component):
    """Components of which each needs those before it: started in order, stopped in reverse order.

    Args:
        components: the first one starts first and stops last.
    """

    def __init__(self, *components: Component) -> None:
        self._components = components

    async def start(self) -> None:
        """Start one after the other."""
        for component in self._components:
            await component.start()

    async def wait_failed(self) -> int | None:
        """Return when the first of them has failed.

        Returns:
            Its exit code; None: `EXIT_BROKEN`.
        """
        watches = [asyncio.create_task(component.wait_failed()) for component in self._components]
        try:
            failed, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
            codes = [watch.result() for watch in failed]
            return next((code for code in codes if code is not None), None)
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    async def stop(self) -> None:
        """Stop one after the other, all of them even if one fails to stop."""
        async with AsyncExitStack() as stack:
            for component in self._components:
                stack.push_async_callback(_stop, component)


class Together(Components):
    """Components that do not need each other: stopped all at once, in the time of the slowest."""

    async def stop(self) -> None:
        """Stop all at once, and wait for all of them even if one fails to stop."""
        stops = (_stop(component) for component in self._components)
        for result in await asyncio.gather(*stops, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result


async def _stop(component: Component) -> None:
    try:
        await component.stop()
    except Exception:
        # Here, because of several failures only one is raised.
        log.exception("a component failed to stop", component=type(component).__name__)
        raise
