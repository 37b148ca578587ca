"""Publishes accepted tasks beside their requests; the outbox has what is not published in time."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from waybill_contracts.wire import EXCHANGE_CONTROL, EXCHANGE_TASKS
from waybill_database import Records
from waybill_gateway.settings import GatewaySettings
from waybill_ledger import PendingMessage, delete_published
from waybill_ledger.outbox import RELAY_GRACE
from waybill_worker.broker import GOODBYE_SECONDS, UNREACHABLE, BrokerConnection
from waybill_worker.observe import get_logger
from waybill_worker.publish import Publisher, relay
from waybill_worker.runtime import distrust

log = get_logger(__name__)

#: Between two attempts to connect while a certificate is not trusted, which an operator has to correct.
DISTRUST_SECONDS: Final = 15.0
#: A message that still waits this shortly before a sweep takes its row is left to the sweep: a publish takes
#: time.
SWEEP_MARGIN: Final = timedelta(seconds=1)
#: How long the rows of published tasks gather before they are deleted together, and how long the deletion may
#: then wait to share the commit of an accept. A sweep would take a row only after seconds.
GATHER_SECONDS: Final = 0.25
DELETE_SECONDS: Final = 0.1
#: Accepted tasks that wait in memory for their publish, and the bytes of their bodies. What exceeds this is
#: left to the sweep. Without this queue a burst of a second would leave half of its tasks to the sweep, which
#: takes seconds.
MAX_WAITING: Final = 10_000
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
#: Between two checks whether a broker that was away is back.
RETURN_CHECK_SECONDS: Final = 0.05


class TaskRelay:
    """The way from the outbox to the broker for tasks that this gateway accepted.

    Args:
        settings: the broker, and how many publishes may be under way at once.
        records: the ledger, which has the outbox.
    """

    def __init__(self, settings: GatewaySettings, records: Records) -> None:
        self._records = records
        self._broker = BrokerConnection(settings, "gateway", "publish")
        self._publisher = Publisher(self._broker, timeout_seconds=settings.publish_timeout_seconds)
        self._connecting: asyncio.Task[None] | None = None
        self._relaying: set[asyncio.Task[None]] = set()
        self._relaying_bytes = 0
        self._slots = asyncio.Semaphore(settings.max_in_flight)
        #: Rows to delete: the broker has confirmed their messages.
        self._published: list[int] = []
        self._deleting: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._connected = False
        self._returning: asyncio.Task[None] | None = None

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
            # The messages that wait for the broker end with it.
            self._returning.cancel()
        if self._relaying:
            _, waiting = await asyncio.wait(self._relaying, timeout=GOODBYE_SECONDS)
            for relaying in waiting:
                relaying.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        self._stopping.set()
        if (deleting := self._deleting) is not None:
            await asyncio.wait((deleting,), timeout=GOODBYE_SECONDS)
            deleting.cancel()
            await asyncio.gather(deleting, return_exceptions=True)
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
        if len(self._relaying) >= MAX_WAITING or self._relaying_bytes + size > MAX_WAITING_BYTES:
            return
        task = asyncio.create_task(self._relay(message, written_at + RELAY_GRACE - SWEEP_MARGIN))
        self._relaying.add(task)
        self._relaying_bytes += size
        task.add_done_callback(self._removal(size))

    def _removal(self, size: int) -> Callable[[asyncio.Task[None]], None]:
        def remove(relayed: asyncio.Task[None]) -> None:
            self._relaying.discard(relayed)
            self._relaying_bytes -= size

        return remove

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

    async def _until_connected(self, until: datetime) -> None:
        if self._returning is None or self._returning.done():
            self._returning = asyncio.create_task(self._wait_for_return())
        with suppress(TimeoutError):
            async with asyncio.timeout((until - self._records.now()).total_seconds()):
                await asyncio.shield(self._returning)

    async def _wait_for_return(self) -> None:
        # One task polls for all messages that wait: the client does not report that a channel is back.
        while not self.is_connected:  # noqa: ASYNC110 - as said
            await asyncio.sleep(RETURN_CHECK_SECONDS)

    async def _relay(self, message: PendingMessage, until: datetime) -> None:
        if not self.is_connected:
            await self._until_connected(until)
        async with self._slots:
            # A sweep is about to take it.
            if self._records.now() > until:
                return
            confirmed = await relay(self._publisher, message)
        if confirmed:
            self._published.append(message.outbox_id)
            if self._deleting is None:
                self._deleting = asyncio.create_task(self._delete_all(), name="delete published rows")

    async def _delete_all(self) -> None:
        try:
            while self._published:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), GATHER_SECONDS)
                published, self._published = self._published, []
                await self._delete(published)
        finally:
            self._deleting = None

    async def _delete(self, outbox_ids: list[int]) -> None:
        try:
            # If this write is lost, the sweep publishes the rows once more, as below.
            await self._records.write(delete_published, outbox_ids, patience=DELETE_SECONDS, relaxed=True)
        except SQLAlchemyError as error:
            # The sweep publishes them again, and the inboxes drop the second copies.
            log.warning("published tasks stay in the outbox", tasks=len(outbox_ids), error=error)
