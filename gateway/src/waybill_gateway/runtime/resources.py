"""What the routes work with: the ledger, the object store, the relay to the broker."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import SQLAlchemyError

from waybill_contracts.kinds.template_folder import read_own_params
from waybill_contracts.wire.names import EXCHANGE_CONTROL, EXCHANGE_TASKS
from waybill_gateway.auth.authenticator import Authenticator
from waybill_gateway.auth.key_cache import KnownKeys
from waybill_gateway.http.idempotency_key import CallsUnderWay
from waybill_gateway.http.metrics import GatewayMetrics
from waybill_gateway.images.originals import Collector
from waybill_gateway.images.probe_pool import ProbePool
from waybill_gateway.settings import GatewaySettings
from waybill_ledger import PendingMessage, forget_published, require_current
from waybill_ledger.acceptance.accept import RELAY_GRACE
from waybill_worker.broker.connection import GOODBYE_SECONDS, disconnect, make_broker
from waybill_worker.broker.wait import UNREACHABLE, BrokerWait
from waybill_worker.observe.logs import get_logger
from waybill_worker.publish.publisher import Publisher
from waybill_worker.publish.relay import relay
from waybill_worker.runtime.background import first_completed
from waybill_worker.runtime.database_wait import DatabaseWait
from waybill_worker.runtime.timekeeper import Timekeeper
from waybill_worker.runtime.tls import distrust
from waybill_worker.storage.object_store import ObjectStore

log = get_logger(__name__)

#: Between looks whether a certificate has been put right, which takes people.
DISTRUST_SECONDS: Final = 15.0
#: What waits for its publish until so shortly before a sweep takes it is left to that: a publish takes time.
SWEEP_MARGIN: Final = timedelta(seconds=1)
#: So long may the row of a published task wait for an accept to share its commit: it is only left to a sweep
#: after seconds.
FORGET_SECONDS: Final = 0.1
#: Accepted tasks that wait for their publish in memory, and the bytes of their bodies; what comes on top is
#: left to the sweep. Without such a queue a burst of a second would leave half of itself to it, for seconds.
MOST_WAITING: Final = 10_000
MOST_WAITING_BYTES: Final = 64 * 1024 * 1024
#: Between looks whether a broker that was away is back.
RETURN_LOOK_SECONDS: Final = 0.05


class Resources:
    """Everything that lives as long as the gateway does."""

    def __init__(
        self, settings: GatewaySettings, registry: CollectorRegistry, metrics: GatewayMetrics
    ) -> None:
        self.settings = settings
        self.registry = registry
        self.metrics = metrics
        self.keyring = settings.keyring()
        self.persons = settings.persons()
        self.own_templates = read_own_params(settings.templates_folder)
        self.records = settings.records(settings.ledger_url)
        self.database_wait = DatabaseWait()
        self.objects = ObjectStore.from_url(settings.object_store_url, settings.s3_options())
        self._collector = Collector(self.records, self.objects)
        self.calls = CallsUnderWay()
        self.known_keys = KnownKeys(self.records, fresh_seconds=settings.key_fresh_seconds)
        self._timekeeper = Timekeeper(self.records)
        self._background = (self._collector, self.known_keys)
        self.authenticator = Authenticator(
            None if settings.gateway_auth == "open" else self.known_keys, self.records.now
        )
        self.image_probes = ProbePool(settings)
        self._broker = make_broker(settings, "gateway", "publish")
        self._publisher = Publisher(self._broker, timeout_seconds=settings.publish_timeout_seconds)
        self._broker_wait = BrokerWait()
        self._connecting: asyncio.Task[None] | None = None
        self._relaying: set[asyncio.Task[None]] = set()
        self._relaying_bytes = 0
        self._slots = asyncio.Semaphore(settings.max_in_flight)
        self._connected = False
        self._returning: asyncio.Task[None] | None = None
        #: Whether the ledger's schema is known to be this release's.
        self.ledger_is_checked = False
        #: Whether the start has come to its end: see `/startupz`.
        self.has_started = False
        #: Set once the process is to end: what would go on for ever ends, too.
        self.stopping = asyncio.Event()

    async def start(self) -> None:
        """Checks the ledger, waiting for one that is away; then reaches for the broker, which is not needed.

        Raises:
            SchemaError: the ledger's schema is not this release's.
        """
        await self.database_wait.until_prepared(self.records, require_current)
        self.ledger_is_checked = True
        await self._timekeeper.begin()
        self._connecting = asyncio.create_task(self._connect(), name="connect")
        for work in self._background:
            work.start()

    async def wait_failed(self) -> None:
        """Returns only when something done beside the requests has ended by itself; the log says why."""
        await first_completed(self._given_up(), *(work.wait_failed() for work in self._background))

    async def stop(self) -> None:
        """Ends the publishes under way; what is not confirmed stays in the outbox."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        await self._collector.stop()
        if self._returning is not None:
            # Who waits for the broker goes along.
            self._returning.cancel()
        if self._relaying:
            _, waiting = await asyncio.wait(self._relaying, timeout=GOODBYE_SECONDS)
            for relaying in waiting:
                relaying.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        await disconnect(self._broker)
        await self.image_probes.close()
        await self.known_keys.stop()
        await self._timekeeper.stop()
        await self.records.close()

    @property
    def broker_is_connected(self) -> bool:
        """Whether new tasks are published at once; if not, they wait in the outbox."""
        return self._connected and self._publisher.is_open

    @property
    def has_asked_the_broker(self) -> bool:
        """Whether it is known that the broker takes this gateway, or is away: it does not refuse it."""
        return self._connected or self._broker_wait.is_away

    def relay_soon(self, message: PendingMessage, written_at: datetime) -> None:
        """Publishes beside the request what it put into the outbox; where that fails, the sweep will do it.

        While the broker is away it waits for that, for as long as no sweep is about to take it.
        """
        size = len(message.body)
        if len(self._relaying) >= MOST_WAITING or self._relaying_bytes + size > MOST_WAITING_BYTES:
            return
        task = asyncio.create_task(self._relay(message, written_at + RELAY_GRACE - SWEEP_MARGIN))
        self._relaying.add(task)
        self._relaying_bytes += size

        def done(relayed: asyncio.Task[None]) -> None:
            self._relaying.discard(relayed)
            self._relaying_bytes -= size

        task.add_done_callback(done)

    async def _connect(self) -> None:
        while not self._connected:
            try:
                await self._broker_wait.until(
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

    async def _given_up(self) -> None:
        """Returns only when the broker is not reached for any more, though it never was."""
        if self._connecting is None:
            raise RuntimeError("nothing was started")
        await asyncio.wait((self._connecting,))
        if self._connected:
            await asyncio.Event().wait()
        # The client may have cancelled it, as it does with what waits for a connection that is stuck.
        error = None if self._connecting.cancelled() else self._connecting.exception()
        log.error("ended, though it should not", what=self._connecting.get_name(), exc_info=error)

    async def _until_connected(self, until: datetime) -> None:
        if self._returning is None or self._returning.done():
            self._returning = asyncio.create_task(self._return())
        with suppress(TimeoutError):
            async with asyncio.timeout((until - self.records.now()).total_seconds()):
                await asyncio.shield(self._returning)

    async def _return(self) -> None:
        # Polled, by one for all who wait: the client tells nobody that a channel is back.
        while not self.broker_is_connected:  # noqa: ASYNC110 - as said
            await asyncio.sleep(RETURN_LOOK_SECONDS)

    async def _relay(self, message: PendingMessage, until: datetime) -> None:
        if not self.broker_is_connected:
            await self._until_connected(until)
        async with self._slots:
            # A sweep is about to take it.
            if self.records.now() > until:
                return
            confirmed = await relay(self._publisher, message)
        # The slot is free by now: what is only to be forgotten yet keeps nobody else from being published.
        if not confirmed:
            return
        try:
            # Should it be lost, the sweep publishes once more, as below.
            await self.records.write(
                forget_published, [message.outbox_id], patience=FORGET_SECONDS, relaxed=True
            )
        except SQLAlchemyError as error:
            # The sweep publishes it again, and the inbox drops the second copy.
            log.warning("a published task stays in the outbox", error=error)


async def current_resources(request: Request) -> Resources:
    """The gateway's resources, as FastAPI asks for them."""
    resources: Resources = request.app.state.resources
    return resources


#: The gateway's resources, for a route's signature.
ResourcesDep = Annotated[Resources, Depends(current_resources)]
