"""The failure desk: wiring of the process."""

import asyncio
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from waybill_contracts.kinds import DESK_SERVICE
from waybill_contracts.wire import (
    HEADER_TASK_ID,
    HEADER_TRACEPARENT,
    MAX_TASK_ID_LENGTH,
    accepted_traceparent,
    trace_id_of,
)
from waybill_deadletters.executor import Executor
from waybill_deadletters.handlers import keep
from waybill_deadletters.housekeeper import Housekeeper
from waybill_deadletters.intake import Intake
from waybill_deadletters.settings import DeskSettings
from waybill_ledger import SchemaError, require_current
from waybill_ledger.deadletters.intake import DeadMessage
from waybill_ledger.deadletters.letters import ContractGate
from waybill_ledger.registry import RegistryCopy
from waybill_worker.broker import Delivery
from waybill_worker.consume import Connections
from waybill_worker.observe import SpanKind, get_logger, make_registry, span
from waybill_worker.publish import RETRY_SECONDS
from waybill_worker.runtime import (
    Components,
    Database,
    HealthServer,
    PeriodicTasks,
    Refresh,
    Together,
    configuring,
)

log = get_logger(__name__)


class Desk(Components):
    """Takes dead letters into the ledger, and redrives them."""

    def __init__(self, settings: DeskSettings) -> None:
        self._records = settings.records(settings.ledger_url)
        self._kinds = RegistryCopy(self._records)
        self._connections = Connections(settings, DESK_SERVICE, self._open)
        keep_for = timedelta(days=settings.settled_days)
        self._keyring = settings.keyring()
        executor = Executor(self._records, self._connections.publisher, keep_for=keep_for, gate=self._gate)
        housekeeper = Housekeeper(
            self._records, self._gate, every_seconds=settings.housekeeping_seconds, keep_for=keep_for
        )
        grace = settings.grace_seconds
        intake = Intake(
            self._connections.consuming,
            self.consume,
            registry=lambda: self._kinds.current,
            prefetch=settings.prefetch,
            grace_seconds=grace,
        )
        database = Database(self._records, self._prepare)
        self._health = HealthServer(
            {
                "consuming": lambda: intake.are_consuming,
                "database": self._records.is_writable,
            },
            make_registry(),
            refusal=lambda: self._connections.wait.lasting_refusal or database.lasting_refusal,
            host=settings.health_host,
            port=settings.health_port,
            listener_fd=settings.listener_fd,
        )
        super().__init__(
            self._health,
            database,
            self._connections,
            Together(
                PeriodicTasks(Refresh(self._kinds.refresh), executor, grace_seconds=grace),
                intake,
                PeriodicTasks(housekeeper, grace_seconds=grace),
            ),
        )

    async def start(self) -> None:
        """Begins to take letters in and to redrive; waits for what is away."""
        await super().start()
        log.info("taking letters in", health_port=self._health.port)

    def _prepare(self, engine: Engine) -> None:
        with configuring(SchemaError):
            require_current(engine)
        self._kinds.prepare(engine)

    def _gate(self) -> ContractGate:
        return ContractGate(self._kinds.current, self._keyring)

    async def _open(self) -> None:
        await self._connections.publisher.open_exchanges()

    async def consume(self, queue: str, delivery: Delivery) -> None:
        """Keeps one letter, then acknowledges it; until it is kept the broker keeps it."""
        named = _named(delivery.headers)
        structlog.contextvars.bind_contextvars(task_id=named.task_id, trace_id=trace_id_of(named.traceparent))
        with span(f"process {queue}", SpanKind.CONSUMER, parent=named.traceparent):
            await self._keep(queue, delivery)

    async def _keep(self, queue: str, delivery: Delivery) -> None:
        message = DeadMessage(
            queue, delivery.body, delivery.headers, delivery.properties, self._records.now()
        )
        while not await self._kept(message):
            if delivery.acknowledger.is_lost:
                log.info("the connection was lost; the letter will be delivered again", queue=queue)
                return
            await asyncio.sleep(random.uniform(*RETRY_SECONDS))  # noqa: S311 - spreads load, guards nothing
        await delivery.acknowledger.ack()

    async def _kept(self, message: DeadMessage) -> bool:
        try:
            is_new = await keep(message, self._records, self._gate())
        except SQLAlchemyError as error:
            log.warning(
                "the ledger did not keep a dead letter, trying again", error=error, once_a_minute=True
            )
            return False
        except Exception:  # whatever it is: this is the message's last copy
            log.exception("a dead letter could not be kept, trying again", queue=message.queue)
            return False
        log.info("took in a dead letter", queue=message.queue, new=is_new)
        return True


class _Named(NamedTuple):
    """Identity of a letter in logs and traces."""

    task_id: str | None
    traceparent: str | None


def _named(headers: Mapping[str, Any]) -> _Named:
    """Identity of a letter, as far as its headers are valid."""
    task_id, traceparent = headers.get(HEADER_TASK_ID), headers.get(HEADER_TRACEPARENT)
    return _Named(
        task_id[:MAX_TASK_ID_LENGTH] if isinstance(task_id, str) else None,
        accepted_traceparent(traceparent) if isinstance(traceparent, str) else None,
    )


def make_service(settings: DeskSettings) -> Desk:
    """The desk, not yet started."""
    return Desk(settings)
