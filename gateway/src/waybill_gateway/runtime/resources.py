"""What the routes work with: the settings, the ledger, the object store, the relay to the broker."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from waybill_contracts.kinds import read_template_params
from waybill_gateway.http import CallsUnderWay, GatewayMetrics
from waybill_gateway.runtime.task_relay import TaskRelay
from waybill_gateway.runtime.watch_links import WatchLinks
from waybill_gateway.settings import GatewaySettings
from waybill_ledger import require_current
from waybill_ledger.deadletters.letters import ContractGate
from waybill_ledger.registry import RegistryCopy
from waybill_worker.object_store import ObjectStore
from waybill_worker.runtime import Condition, DatabaseWait, Readiness, Refresh, Timekeeper

#: What a convenience route demands of data beyond the contract of its kind.
#:
#: Args:
#:     resources: of the gateway.
#:     data: as posted; may have the form of the route.
#:     priority: of the task.
#:     where: place of the data in the body of the request.
#:
#: Returns:
#:     The data as its contract describes it.
#:
#: Raises:
#:     RequestValidationError, Problem: it is refused.
DataCheck = Callable[["Resources", Mapping[str, Any], str, Sequence[str]], dict[str, Any]]


class Resources:
    """What routes of several rooms share; it lives as long as the gateway."""

    def __init__(
        self,
        settings: GatewaySettings,
        registry: CollectorRegistry,
        metrics: GatewayMetrics,
        checks: Mapping[str, DataCheck],
    ) -> None:
        self.settings = settings
        #: By kind, what is demanded beyond its contract.
        self.checks = checks
        self.metrics = metrics
        self.keyring = settings.keyring()
        self.persons = settings.persons()
        self.own_templates = read_template_params(settings.templates_folder)
        self.records = settings.records(settings.ledger_url)
        self.links = WatchLinks(self.keyring, settings.watch_link_seconds)
        #: Kinds and services.
        self.kinds = RegistryCopy(self.records)
        self.kinds_refresh = Refresh(self.kinds.refresh)
        #: Held while one is changed, so that those who wait for their turn take no threads from the readers.
        self.registering = asyncio.Lock()
        self.database_wait = DatabaseWait()
        self.objects = ObjectStore.from_url(settings.object_store_url, settings.s3_options())
        self.calls = CallsUnderWay()
        self.relay = TaskRelay(settings, self.records)
        self._timekeeper = Timekeeper(self.records)
        #: Whether the schema of the ledger was checked, and is that of this release.
        self.ledger_is_checked = False
        #: Set when the process is to stop: then endless answers end too.
        self.stopping = asyncio.Event()
        #: For probes.
        self.condition = Condition(self._readiness, lambda: self.database_wait.lasting_refusal, registry)

    @property
    def gate(self) -> ContractGate:
        """Checks payloads of dead letters by the contracts of now."""
        return ContractGate(self.kinds.current, self.keyring)

    async def start(self) -> None:
        """Checks the ledger, and waits for one that is away; then begins to connect to the broker.

        Raises:
            SchemaError: the ledger's schema is not this release's.
        """
        await self.database_wait.until_prepared(self.records, self._prepare)
        self.ledger_is_checked = True
        self.kinds_refresh.start()
        await self._timekeeper.begin()
        self.relay.start()

    async def _readiness(self) -> Readiness:
        ledger = self.ledger_is_checked and await self.records.is_writable()
        stopping = self.stopping.is_set()
        return Readiness(
            is_ready=ledger and not stopping,
            checks={"ledger": ledger, "broker": self.relay.is_connected},
            has_started=ledger and self.relay.has_asked_the_broker,
            is_stopping=stopping,
        )

    def _prepare(self, engine: Engine) -> None:
        require_current(engine)
        self.kinds.prepare(engine)

    async def close(self) -> None:
        """Closes the ledger, when nothing uses it any more."""
        await self.kinds_refresh.stop()
        await self._timekeeper.stop()
        await self.records.close()


async def current_resources(request: Request) -> Resources:
    """The gateway's resources, as FastAPI asks for them."""
    resources: Resources = request.app.state.resources
    return resources


#: The gateway's resources, for a route's signature.
ResourcesDep = Annotated[Resources, Depends(current_resources)]
