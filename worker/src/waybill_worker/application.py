"""FastStream applications that start, fail and stop as each of our processes does."""

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any

from faststream import FastStream
from faststream.specification import AsyncAPI

from waybill_worker.broker import BrokerConnection
from waybill_worker.runtime import Component, live


class Application(FastStream):
    """A FastStream application among the other parts of a process.

    `run`, which `faststream run` calls, differs from FastStream's own:

    - a signal also ends a start that waits for the broker or for a database;
    - the process ends by itself when one of its parts cannot go on, with an exit code that says why;
    - it has ended `stop_seconds` after the signal, whatever does not end.

    Args:
        broker: its subscribers consume.
        parts: makes the parts of the process from FastStream's own part, which starts and stops the hooks and
            the broker.
        stop_seconds: seconds after which a stopping process ends in any case.
        asyncapi: title, version and description of the AsyncAPI document.
    """

    def __init__(
        self,
        broker: BrokerConnection,
        parts: Callable[[Component], Component],
        *,
        stop_seconds: float,
        asyncapi: AsyncAPI,
    ) -> None:
        super().__init__(broker, logger=None, specification=asyncapi)
        self._own = _HooksAndBroker(self)
        self._parts = parts(self._own)
        self._stop_seconds = stop_seconds
        self._stop_requested = asyncio.Event()

    async def start(self, **run_extra_options: Any) -> None:
        """Starts all parts; waits for what is away.

        Args:
            run_extra_options: given to the hooks that run before the broker starts.
        """
        self._own.options |= run_extra_options
        await self._parts.start()

    async def wait_failed(self) -> int | None:
        """Returns when a part cannot go on: the exit code; None: `EXIT_BROKEN`."""
        return await self._parts.wait_failed()

    async def stop(self) -> None:
        """Stops all parts, in reverse order."""
        await self._parts.stop()

    def exit(self) -> None:
        """Lets `run` stop the application; called in its event loop."""
        self._stop_requested.set()

    async def run(
        self,
        log_level: int = logging.INFO,  # noqa: ARG002 - WAYBILL_LOG_LEVEL is for all logs
        run_extra_options: dict[str, Any] | None = None,
        sleep_time: float = 0.1,  # noqa: ARG002 - nothing is polled
    ) -> None:
        """Runs until SIGTERM or SIGINT, or until `exit` is called.

        Raises:
            SystemExit: it ended for another reason: 70 if a part failed, 78 if people must correct something.
        """
        self._own.options = run_extra_options or {}
        code = await live(lambda: self, stop_seconds=self._stop_seconds, stop_requested=self._stop_requested)
        if code:
            sys.exit(code)


class _HooksAndBroker(Component):
    """FastStream's own part of an application, without what `Application` adds."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self.options: dict[str, Any] = {}

    async def start(self) -> None:
        await FastStream.start(self._application, **self.options)

    async def stop(self) -> None:
        await FastStream.stop(self._application)
