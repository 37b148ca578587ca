"""The parts of the gateway that live as long as it does, and the order in which they start and stop."""

from starlette.datastructures import State

from waybill_gateway.auth import Authenticator, KnownKeys
from waybill_gateway.checks import CHECKS
from waybill_gateway.files import Collector
from waybill_gateway.following import Watches
from waybill_gateway.images import ProbePool
from waybill_gateway.runtime import Resources
from waybill_gateway.watching import link_limiters
from waybill_worker.runtime import first_completed


class GatewayComponents:
    """The parts of one gateway.

    Args:
        state: of the application: has its settings, registry and metrics. The parts that routes use are put
            there.
    """

    def __init__(self, state: State) -> None:
        settings = state.settings
        self.resources = Resources(settings, state.registry, state.metrics, CHECKS)
        records = self.resources.records
        self._known_keys = KnownKeys(records, fresh_seconds=settings.key_fresh_seconds)
        self._image_probes = ProbePool(settings)
        self._collector = Collector(records, self.resources.objects)
        state.resources, state.known_keys = self.resources, self._known_keys
        state.image_probes = self._image_probes
        authenticator = Authenticator(
            None if settings.gateway_auth == "open" else self._known_keys, records.now
        )
        self._watches = Watches(settings, records, self.resources.stopping, authenticator, state.metrics)
        state.authenticator, state.watches = authenticator, self._watches
        state.link_limiters = link_limiters()

    async def start(self) -> None:
        """Starts all parts; waits for a ledger that is away, but not for the broker.

        Raises:
            SchemaError: the ledger's schema is not this release's.
        """
        await self.resources.start()
        self._collector.start()
        self._known_keys.start()
        self._watches.start()

    async def wait_failed(self) -> None:
        """Returns only when a part that works beside the requests has ended by itself; the log says why."""
        await first_completed(
            *(
                part.wait_failed()
                for part in (
                    self.resources.relay,
                    self.resources.kinds_refresh,
                    self._collector,
                    self._known_keys,
                    self._watches,
                )
            )
        )

    async def stop(self) -> None:
        """Stops all parts, started or not; the ledger last."""
        await self._watches.stop()
        await self._collector.stop()
        await self.resources.relay.stop()
        await self._image_probes.close()
        await self._known_keys.stop()
        await self.resources.close()
