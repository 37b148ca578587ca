"""The status service, put together. It owns the topology: declares it at start and after each reconnect."""

from collections.abc import Callable
from datetime import timedelta

from pydantic import ValidationError
from sqlalchemy import Engine

from waybill_contracts.kinds import STATUS_SERVICE
from waybill_contracts.privacy import Keyring
from waybill_contracts.registry import Registry
from waybill_contracts.wire import (
    EXCHANGE_CONTROL,
    EXCHANGE_DEAD_LETTERS,
    EXCHANGE_TASKS,
    LIFECYCLE_BATCH,
    DeadReason,
    ErrorInfo,
    work_queue,
)
from waybill_ledger import AlertPolicy, SchemaError, SpawnTerms, require_current
from waybill_ledger.registry import RegistryCopy
from waybill_status.alerts import Alerts, Digests
from waybill_status.handlers import Merge, apply_lifecycle
from waybill_status.outbox import Feeder, OutboxRelay
from waybill_status.outlooks import Outlooks
from waybill_status.schedules import ScheduleReleaser, SlotCheck
from waybill_status.settings import StatusSettings
from waybill_status.upkeep import Declarer, Measurer, Pruner, Reconciler, StatusMetrics
from waybill_worker.broker import Delivery, QueueStats, queue_stats
from waybill_worker.consume import Connections, Consumer, Consumers
from waybill_worker.observe import get_logger, make_registry
from waybill_worker.publish import DeliveryLostError, dead_letter, retry_while_delivered
from waybill_worker.runtime import (
    Components,
    Database,
    HealthServer,
    PeriodicTask,
    PeriodicTasks,
    Refresh,
    Together,
    configuring,
)

log = get_logger(__name__)


class StatusService(Components):
    """Applies lifecycle events to the ledger, sweeps the outbox, puts back what went silent, and alerts."""

    def __init__(self, settings: StatusSettings) -> None:
        self._records = settings.records(settings.ledger_url)
        self._kinds = RegistryCopy(self._records)
        registry = make_registry()
        metrics = StatusMetrics(registry)
        keyring = settings.keyring()
        alerts = make_alerts(settings, keyring, lambda: self._kinds.current)
        persons = settings.persons()
        self._merge = Merge(
            alerts,
            metrics,
            lambda: SpawnTerms(self._records.now(), self._kinds.current, keyring, persons),
            prefetch=settings.prefetch,
        )
        self._connections = Connections(settings, STATUS_SERVICE, self._declare)
        self._publisher = self._connections.publisher
        self._declarer = Declarer(self._records, self._connections.publishing, lambda: self._kinds.current)
        outlooks = Outlooks(self._records)
        background: list[PeriodicTask] = [
            Refresh(lambda: outlooks.refresh(self._kinds)),
            self._declarer,
            OutboxRelay(self._records, self._publisher, outlooks),
            ScheduleReleaser(self._records, keyring, self._kinds, outlooks),
            SlotCheck(self._records),
            Feeder(
                self._records,
                self._publisher,
                outlooks,
                registry=lambda: self._kinds.current,
                queue_stats=self._work_queue_stats,
            ),
            Reconciler(
                self._records,
                timeouts=settings.stall_timeouts,
                look_seconds=settings.reconcile_look_seconds,
                queue_stats=lambda: self._work_queue_stats(STATUS_SERVICE),
                metrics=metrics,
            ),
            Measurer(
                self._records,
                metrics,
                timeouts=settings.stall_timeouts,
                look_seconds=settings.measure_seconds,
                registry=lambda: self._kinds.current,
                queues=lambda: self._declarer.queues,
                queue_stats=lambda queue: queue_stats(self._connections.publishing, queue),
            ),
        ]
        background.append(
            Pruner(
                self._records,
                settings.retention,
                look_seconds=settings.prune_look_seconds,
                metrics=metrics,
            )
        )
        if alerts is not None:
            background.append(Digests(self._records, alerts))
        consumer = Consumer(
            self._connections.consuming, work_queue(STATUS_SERVICE), self.consume, prefetch=settings.prefetch
        )
        database = Database(self._records, self._prepare)
        self._health = HealthServer(
            {
                "consuming": lambda: consumer.is_consuming,
                "database": self._records.is_writable,
            },
            registry,
            refusal=lambda: self._connections.wait.lasting_refusal or database.lasting_refusal,
            host=settings.health_host,
            port=settings.health_port,
            listener_fd=settings.listener_fd,
        )
        grace = settings.grace_seconds
        super().__init__(
            self._health,
            database,
            self._connections,
            Together(
                Consumers(consumer, grace_seconds=grace),
                PeriodicTasks(*background, grace_seconds=grace),
            ),
        )

    async def start(self) -> None:
        """Declares the topology, then begins to sweep and to consume; waits for what is away."""
        await super().start()
        log.info("consuming", queue=work_queue(STATUS_SERVICE), health_port=self._health.port)

    def _prepare(self, engine: Engine) -> None:
        with configuring(SchemaError):
            require_current(engine)
        self._kinds.prepare(engine)

    async def _declare(self) -> None:
        await self._declarer.begin()
        await self._publisher.open_exchanges(EXCHANGE_TASKS, EXCHANGE_CONTROL, EXCHANGE_DEAD_LETTERS)

    async def consume(self, delivery: Delivery) -> None:
        """Applies one message of lifecycle events, then acknowledges it."""
        try:
            try:
                events = LIFECYCLE_BATCH.validate_json(delivery.body)
            except ValidationError as error:
                log.exception("lifecycle events cannot be read")
                info = ErrorInfo.of(error)
                letter = dead_letter(
                    STATUS_SERVICE, delivery, info, DeadReason.UNREADABLE, self._records.now()
                )
                await retry_while_delivered(delivery, "dead-letter", lambda: self._publisher.publish(letter))
            else:
                await retry_while_delivered(
                    delivery, "apply", lambda: apply_lifecycle(events, self._records, self._merge)
                )
            await delivery.acknowledger.ack()
        except DeliveryLostError:
            log.info("the connection was lost; the message will be delivered again", once_a_minute=True)

    async def _work_queue_stats(self, service: str) -> QueueStats | None:
        return await queue_stats(self._connections.publishing, work_queue(service))


def make_alerts(
    settings: StatusSettings, keyring: Keyring, registry: Callable[[], Registry]
) -> Alerts | None:
    """The alerts; None if no recipient is configured."""
    if settings.ops_address is None:
        return None
    policy = AlertPolicy(
        window=timedelta(seconds=settings.alert_window_seconds),
        most_at_once=settings.alert_most_at_once,
        quiet=timedelta(seconds=settings.alert_quiet_seconds),
    )
    return Alerts(settings.ops_address, settings.public_url, policy, keyring, registry)


def make_service(settings: StatusSettings) -> StatusService:
    """The service, not yet started."""
    return StatusService(settings)
