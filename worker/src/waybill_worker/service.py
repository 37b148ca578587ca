"""A consuming service: a FastStream application, and the order in which its parts start and stop."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from inspect import getdoc, unwrap
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import uvloop
from faststream.specification import AsyncAPI

from waybill_contracts.privacy import NO_KEYS
from waybill_contracts.versions import UPCASTERS, Upcasters
from waybill_contracts.wire import CancelRequested, names
from waybill_worker.application import Application
from waybill_worker.attempt import (
    UNKNOWN_KIND,
    AttemptMetrics,
    Attempts,
    Emit,
    FunctionProcesses,
    Handler,
    Isolation,
    LoneAttempt,
    Runs,
    by_kind,
    policy_of,
)
from waybill_worker.broker import LEVELS, BrokerConnection, queue_stats
from waybill_worker.consume import (
    Connections,
    Consumer,
    Control,
    Decoder,
    Pipeline,
    Resumption,
    ServiceSettings,
    Turns,
    cancel_all,
)
from waybill_worker.failure_location import service_version
from waybill_worker.inbox import RENEWALS_PER_LEASE, Inbox, InboxPruner
from waybill_worker.limits import EXIT_HARD_LIMIT, RunningHandlers, Watchdog
from waybill_worker.observe import get_logger, make_registry
from waybill_worker.outcome import Outcome
from waybill_worker.publish import Reporter
from waybill_worker.resources import Resources
from waybill_worker.runtime import (
    EXIT_BROKEN,
    Component,
    Components,
    Database,
    HealthServer,
    PeriodicTask,
    PeriodicTasks,
    build,
    in_processes,
    made,
)

if TYPE_CHECKING:
    # Entered only where there are files.
    from waybill_worker.object_store import ObjectStore

log = get_logger(__name__)

#: Control messages in work at once: each is one row.
CONTROL_PREFETCH: Final = 50
#: Seconds that recording the cancellations may take that came while the service was away.
CATCH_UP_SECONDS: Final = 10.0
#: Above the AsyncAPI document of each service.
_ABOUT: Final = (
    "The messages that the service consumes. Events are CloudEvents in binary mode: "
    "the type, id and version of each are in its headers."
)
Settings = TypeVar("Settings", bound=ServiceSettings)


class Service(Application):
    """One service process: consumes the kinds of its handlers, and reports what came of them.

    It is a FastStream application, whose broker has two subscribers: one for work, one for cancellations.

    Args:
        name: the service.
        settings: its settings.
        handlers: one for each kind that it handles.
        resources: what the handlers use; entered before the first attempt, left after the last one.
        upcasters: convert the data of older versions.
        release: its version, in dead letters; None: that of the distribution `waybill-<name>`.

    Raises:
        ValueError: two handlers for one kind, or the settings name a kind without a handler.
    """

    def __init__(
        self,
        name: str,
        settings: ServiceSettings,
        handlers: tuple[Handler, ...],
        *,
        resources: AbstractAsyncContextManager[object] | None = None,
        upcasters: Upcasters = UPCASTERS,
        release: str | None = None,
    ) -> None:
        self._name = name
        self._queue = names.work_queue(name)
        table: Mapping[str, Handler] = by_kind(handlers)
        if strange := settings.policy_overrides.keys() - table:
            raise ValueError(f"policy_overrides names {sorted(strange)}, but {name} handles {sorted(table)}")
        self._records = settings.records(settings.inbox_url)
        self._connections = Connections(settings, name, self._open_exchanges)
        running = RunningHandlers()
        self._inbox = Inbox(
            self._records,
            name,
            lease_seconds=settings.lease_seconds,
            on_cancelled=running.stop,
        )
        self._watchdog = Watchdog()
        registry = make_registry()
        reporter = Reporter(self._connections.publisher)
        self._attempts = Attempts(
            name,
            self._inbox,
            reporter,
            self._watchdog,
            running,
            keyring=settings.keyring,
            store=_store_of(settings),
        )
        if workers := sum(each.concurrency or 0 for each in handlers if each.runs is Runs.IN_PROCESS):
            self._attempts.processes = FunctionProcesses(name, settings, workers)
        # A service without personal data needs no key.
        keyring = settings.keyring() if any(h.event.is_sensitive() for h in handlers) else NO_KEYS
        self._pipeline = Pipeline(
            name,
            inbox=self._inbox,
            publisher=self._connections.publisher,
            reporter=reporter,
            attempts=self._attempts,
            metrics=AttemptMetrics(name, registry, table),
            decoder=Decoder(table, keyring, policy_of(settings, UNKNOWN_KIND), upcasters),
            turns=Turns(table, settings.prefetch),
        )
        self._pipeline.release = release
        self._consumer = Consumer(
            self._connections.consuming,
            self._queue,
            self._pipeline.consume,
            prefetch=settings.prefetch,
            description=_described(handlers),
            schemas=lambda: {kind: each.event.model_json_schema() for kind, each in table.items()},
        )
        control = Consumer(
            self._connections.consuming,
            names.control_queue(name),
            Control(self._inbox, running.stop).consume,
            prefetch=CONTROL_PREFETCH,
            description="Cancellations of tasks.",
            schemas=lambda: {"cancel_requested": CancelRequested.model_json_schema()},
        )
        database = Database(self._records, lambda _: self._inbox.make_table())
        self._health = HealthServer(
            {
                "consuming": lambda: self._consumer.is_consuming,
                "control": lambda: control.is_consuming,
                "database": self._records.is_writable,
            },
            registry,
            refusal=lambda: self._connections.wait.lasting_refusal or database.lasting_refusal,
            host=settings.health_host,
            port=settings.health_port,
            listener_fd=settings.listener_fd,
        )
        self._resources = Resources(resources)
        grace = settings.grace_seconds
        super().__init__(
            self._connections.consuming,
            lambda hooks_and_broker: Components(
                self._health,
                self._resources,
                database,
                self._inbox,
                _HandlersEnd(self._attempts, self._watchdog),
                self._connections,
                _Messages(
                    hooks_and_broker,
                    self._connections.publishing,
                    control,
                    self._consumer,
                    self._pipeline,
                    running,
                    grace,
                ),
                PeriodicTasks(*self._background(settings, handlers), grace_seconds=grace),
            ),
            stop_seconds=settings.stop_seconds,
            asyncapi=AsyncAPI(title=name, version=release or service_version(name), description=_ABOUT),
        )

    def _background(self, settings: ServiceSettings, handlers: tuple[Handler, ...]) -> Iterator[PeriodicTask]:
        if settings.inbox_keep_days:
            yield InboxPruner(
                self._records,
                self._name,
                keep=timedelta(days=settings.inbox_keep_days),
                queue_stats=lambda: queue_stats(self._connections.publishing, self._queue),
            )
        if any(each.limits.is_long for each in handlers):
            look_seconds = settings.lease_seconds / RENEWALS_PER_LEASE
            yield Resumption(self._pipeline.long, self._pipeline.resume, every_seconds=look_seconds)

    def isolate(self, isolation: Isolation[Any]) -> None:
        """Let attempts during which processes died run in processes of their own."""
        self._attempts.isolation = isolation

    async def run_alone(self, lone: LoneAttempt, begun: Callable[[], object], emit: Emit) -> Outcome | None:
        """Runs one attempt for another process, without being started; None: its lease was lost.

        Args:
            lone: the attempt.
            begun: called right before its handler.
            emit: has that process publish a lifecycle event.
        """
        await self._records.sync_clock()
        await self._resources.start()  # they end with this process
        begun()
        return await self._pipeline.run_alone(lone, emit)

    def stop_task(self, task_id: str) -> int:
        """Asks the handlers of a task that run here to stop; returns how many."""
        return self._attempts.running.stop(task_id)

    async def start(self, **run_extra_options: Any) -> None:
        """Start everything, the consumer last; wait for a database or a broker that is away."""
        self._watchdog.start()
        await super().start(**run_extra_options)
        log.info("consuming", queue=self._queue, health_port=self._health.port)

    async def stop(self) -> None:
        """Take no more messages, end those under way, report the rest, and close."""
        await super().stop()
        self._watchdog.stop()

    async def _open_exchanges(self) -> None:
        await self._connections.publisher.open_exchanges(
            names.EXCHANGE_EVENTS, names.EXCHANGE_DEAD_LETTERS, *map(names.delay_exchange, range(LEVELS))
        )


class _Messages(Component):
    """The messages of a service: its work and its cancellations; and FastStream's own part with them."""

    def __init__(
        self,
        hooks_and_broker: Component,
        publishing: BrokerConnection,
        control: Consumer,
        work: Consumer,
        pipeline: Pipeline,
        running: RunningHandlers,
        grace_seconds: float,
    ) -> None:
        self._hooks_and_broker = hooks_and_broker
        self._publishing = publishing
        self._control = control
        self._work = work
        self._pipeline = pipeline
        self._running = running
        self._grace_seconds = grace_seconds

    async def start(self) -> None:
        # The work and control queues are declared last: once they exist, the other queues do too.
        await self._control.begin()
        # Cancellations that came while the service was away are read before the attempts that wait.
        if not await self._control.caught_up(CATCH_UP_SECONDS):
            log.warning("beginning to consume although cancellations are still unread")
        await self._hooks_and_broker.start()

    async def wait_failed(self) -> int:
        """Return when a consumer is gone for good, or a handler does not end."""
        watches = [asyncio.create_task(consumer.watch()) for consumer in (self._work, self._control)]
        stuck = asyncio.create_task(self._running.wait_stuck())
        try:
            await asyncio.wait((*watches, stuck), return_when=asyncio.FIRST_COMPLETED)
            return EXIT_HARD_LIMIT if stuck.done() else EXIT_BROKEN
        finally:
            for watch in (*watches, stuck):
                watch.cancel()

    async def stop(self) -> None:
        try:
            await cancel_all(self._work, self._control)
        finally:  # what handlers use is closed next: they end first, whatever the broker does
            late = await self._pipeline.drain(self._grace_seconds)
        if late:
            log.warning("attempts did not end in the grace time; they will be run again", attempts=late)
        for consumer in (self._work, self._control):
            await consumer.settle()
        # At once: each may wait for a broker that hangs.
        await asyncio.gather(self._hooks_and_broker.stop(), self._publishing.stop())


class _HandlersEnd(Component):
    """The end of handlers that are still running."""

    def __init__(self, attempts: Attempts, watchdog: Watchdog) -> None:
        self._attempts = attempts
        self._watchdog = watchdog

    async def stop(self) -> None:
        if self._attempts.processes is not None:
            await self._attempts.processes.close()
        # While their claims still hold: no other replica runs the next attempt before this process has ended.
        self._watchdog.end_with_the_late()


def _store_of(settings: ServiceSettings) -> "ObjectStore | None":
    """The object store that the settings name; None: its attempts have no files."""
    url = settings.object_store_url
    if url is None:
        return None
    # Imported here: most services have no files, and its client takes seven megabytes.
    from waybill_worker.object_store import ObjectStore  # noqa: PLC0415 - see the comment

    return ObjectStore.from_url(url, settings.s3_options())


def _described(handlers: tuple[Handler, ...]) -> str:
    """What the work of a service is, kind by kind, in the words of its handlers."""
    return "\n".join(f"- `{each.event.KIND}`: {_summary(each.function)}" for each in handlers)


def _summary(function: Callable[..., object]) -> str:
    while isinstance(function, partial):
        function = function.func
    return (getdoc(unwrap(function)) or "").partition("\n")[0]


def application(
    name: str, settings_of: Callable[[], Settings], make: Callable[[Settings], Service]
) -> Service:
    """Makes the FastStream application of this process, a service; exits 78 if a setting is wrong.

    Suspect attempts run in processes of their own.

    Args:
        name: the service.
        settings_of: reads its settings.
        make: makes the service from them; a function of a module, because those processes call it too.
    """
    return build(name, settings_of, partial(_isolating, name, make))


def run_service(
    name: str, settings_of: Callable[[], Settings], make: Callable[[Settings], Service]
) -> NoReturn:
    """Runs the `application` of these arguments to its end, in as many processes as its settings say."""

    def work(settings: Settings) -> None:
        uvloop.run(made(settings, partial(_isolating, name, make)).run())

    in_processes(name, settings_of, work)


def _isolating(name: str, make: Callable[[Settings], Service], settings: Settings) -> Service:
    service = make(settings)
    service.isolate(Isolation(name, settings, make))
    return service
