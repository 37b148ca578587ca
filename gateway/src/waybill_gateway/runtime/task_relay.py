"""Publishes accepted tasks beside their requests; the outbox has what is not published in time."""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from waybill_contracts.wire import EXCHANGE_CONTROL, EXCHANGE_TASKS
from waybill_database import Records
from waybill_gateway.runtime.published_rows import PublishedRows
from waybill_gateway.settings import GatewaySettings
from waybill_ledger import PendingMessage
from waybill_ledger.outbox import RELAY_GRACE
from waybill_worker.broker import GOODBYE_SECONDS, UNREACHABLE, BrokerConnection
from waybill_worker.observe import get_logger
from waybill_worker.publish import Publisher, relay_each
from waybill_worker.runtime import distrust

log = get_logger(__name__)

#: Between two attempts to connect while a certificate is not trusted, which an operator has to correct.
DISTRUST_SECONDS: Final = 15.0
#: A message that still waits this shortly before a sweep takes its row is left to the sweep: a publish takes
#: time.
SWEEP_MARGIN: Final = timedelta(seconds=1)
#: Accepted tasks that wait in memory for their publish or its confirm, and the bytes of their bodies. What
#: exceeds this is left to the sweep. Without this queue a burst of a second would leave half of its tasks to
#: the sweep, which takes seconds.
MAX_WAITING: Final = 10_000
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
#: Between two checks whether a broker that was away is back.
RETURN_CHECK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class _Waiting:
    message: PendingMessage
    #: Then a sweep is about to take its row.
    until: datetime


class TaskRelay:
    """The way from the outbox to the broker for tasks that this gateway accepted.

    All rows of a commit are published together, without an asyncio task of their own.

    Args:
        settings: the broker, and how many publishes may be under way at once.
        records: the ledger, which has the outbox.
    """

    def __init__(self, settings: GatewaySettings, records: Records) -> None:
        self._records = records
        self._broker = BrokerConnection(settings, "gateway", "publish")
        self._publisher = Publisher(self._broker, timeout_seconds=settings.publish_timeout_seconds)
        self._connecting: asyncio.Task[None] | None = None
        self._connected = False
        self._most_in_flight = settings.max_in_flight
        self._waiting: deque[_Waiting] = deque()
        self._in_flight = 0
        #: Of those that wait or are in flight.
        self._bytes = 0
        self._is_called = False
        #: Publishes that end by themselves, because each has a span.
        self._traced: set[asyncio.Task[None]] = set()
        self._published = PublishedRows(records)
        self._returning: asyncio.Task[None] | None = None
        self._emptied = asyncio.Event()

    def start(self) -> None:
        """Begins to connect to the broker, which is not needed to accept."""
        self._connecting = asyncio.create_task(self._connect(), name="connect")

    async def wait_failed(self) -> None:
        """Returns only when the attempts to connect ended without a connection; the log says why."""
        if self._connecting is None:
            raise RuntimeError("nothing was started")
        await asyncio.wait((self._connecting,))
        if self._connected:
            await asyncio.Event().wait()
        # The client may have cancelled it, as it does with what waits for a connection that is stuck.
        error = None if self._connecting.cancelled() else self._connecting.exception()
        log.error("ended, though it should not", what=self._connecting.get_name(), exc_info=error)

    async def stop(self) -> None:
        """Ends the publishes under way; what is not confirmed stays in the outbox."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._returning is not None:
            self._returning.cancel()
        if not self.is_connected:
            # They would wait for the broker.
            self._waiting.clear()
        if self._waiting or self._in_flight:
            self._emptied.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._emptied.wait()
        self._waiting.clear()
        for publishing in self._traced:
            publishing.cancel()
        await asyncio.gather(*self._traced, return_exceptions=True)
        await self._published.settle()
        await self._broker.stop()

    @property
    def is_connected(self) -> bool:
        """Whether new tasks are published at once; if not, they wait in the outbox."""
        return self._connected and self._publisher.is_open

    @property
    def has_asked_the_broker(self) -> bool:
        """Whether the broker has accepted this gateway or is away; False while it refuses the gateway."""
        return self._connected or self._broker.wait.is_away

    def publish_soon(self, message: PendingMessage, written_at: datetime) -> None:
        """Publishes a row of the outbox beside its request; if that fails, a sweep publishes it.

        While the broker is away the message waits for it until shortly before a sweep takes the row.

        Args:
            message: the row.
            written_at: the time of the row, by the clock of the ledger.
        """
        size = len(message.body)
        if len(self._waiting) + self._in_flight >= MAX_WAITING or self._bytes + size > MAX_WAITING_BYTES:
            return
        self._bytes += size
        self._waiting.append(_Waiting(message, written_at + RELAY_GRACE - SWEEP_MARGIN))
        self._call()

    def _call(self) -> None:
        """Publishes what waits when the requests of the same commit have had their turn."""
        if not self._is_called:
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._publish_waiting)

    def _publish_waiting(self) -> None:
        self._is_called = False
        if not self.is_connected:
            if self._waiting and (self._returning is None or self._returning.done()):
                self._returning = asyncio.create_task(self._wait_for_return())
            return
        self._leave_late_ones()
        batch: list[PendingMessage] = []
        while self._waiting and self._in_flight < self._most_in_flight:
            batch.append(self._waiting.popleft().message)
            self._in_flight += 1
        if batch:
            traced = relay_each(self._publisher, batch, self._answered)
            self._traced |= traced
            for publishing in traced:
                publishing.add_done_callback(self._traced.discard)

    def _answered(self, message: PendingMessage, is_confirmed: bool) -> None:  # noqa: FBT001 - a callback
        self._in_flight -= 1
        self._bytes -= len(message.body)
        if is_confirmed:
            self._published.add(message.outbox_id)
        if self._waiting:
            self._call()
        elif not self._in_flight:
            self._emptied.set()

    def _leave_late_ones(self) -> None:
        """Leaves to a sweep the rows that it is about to take."""
        now = self._records.now()
        while self._waiting and now > self._waiting[0].until:
            self._bytes -= len(self._waiting.popleft().message.body)

    async def _wait_for_return(self) -> None:
        # One task polls for all messages that wait: the client does not report that a channel is back.
        while self._waiting and not self.is_connected:
            await asyncio.sleep(RETURN_CHECK_SECONDS)
            self._leave_late_ones()
        self._publish_waiting()

    async def _connect(self) -> None:
        while not self._connected:
            try:
                await self._broker.wait.until(
                    lambda: self._publisher.open_exchanges(EXCHANGE_TASKS, EXCHANGE_CONTROL)
                )
            except UNREACHABLE as error:
                if (reason := distrust(error)) is None:
                    raise
                # Accepting needs no broker, so this is no reason to end.
                log.critical("a certificate is not trusted, the broker's or ours", reason=reason)
                await asyncio.sleep(DISTRUST_SECONDS)
            else:
                self._connected = True
        log.info("connected to the broker")
