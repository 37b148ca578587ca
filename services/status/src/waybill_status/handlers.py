"""Handler of lifecycle events: applies them to the ledger and reports failures, in one transaction."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import time_ns
from typing import Final

from sqlalchemy import Connection

from waybill_contracts.kinds import STATUS_SERVICE
from waybill_contracts.wire import LifecycleEvent, work_queue
from waybill_database import Records
from waybill_ledger import Failure, Spawned, SpawnTerms, accept_spawned, apply_events
from waybill_status.alerts import Alerts
from waybill_status.upkeep import StatusMetrics
from waybill_worker.observe import Attributes, SpanKind, get_logger, is_tracing, past_span

log = get_logger(__name__)

#: How long events wait for more, to share a commit; meanwhile the gateway can write to a SQLite ledger. No
#: process waits for them, and a caller who asks for the state of a task asks again later than that.
MERGE_SECONDS: Final = 0.025
#: The same while many come: after a commit of so many messages. Larger batches cost less for each task.
BUSY_MERGE_SECONDS: Final = 0.075
BUSY_MESSAGES: Final = 4


class Merge:
    """The write that applies the events of many messages; made once, so that its calls share commits.

    Args:
        alerts: mails about failures; None: none are sent.
        metrics: are counted.
        terms: on which spawned tasks are accepted now.
        prefetch: messages that the broker delivers before one is acknowledged.
    """

    def __init__(
        self,
        alerts: Alerts | None,
        metrics: StatusMetrics,
        terms: Callable[[], SpawnTerms],
        *,
        prefetch: int,
    ) -> None:
        self._alerts = alerts
        self._metrics = metrics
        self._terms = terms
        # The broker must always have room for more: with all of them here nothing could come to wait for.
        self._most_waiting = max(prefetch // 2, 1)
        self._waiting = 0
        #: Messages of the last commit.
        self._together = 0

    def __call__(self, connection: Connection, batches: Sequence[Sequence[LifecycleEvent]]) -> Sequence[None]:
        """Applies batches of events."""
        self._together = len(batches)
        return _apply(self._alerts, self._metrics, self._terms, connection, batches)

    @contextmanager
    def patience(self) -> Iterator[float]:
        """How long one more message may wait for others, in seconds; it waits for the length of the block."""
        self._waiting += 1
        try:
            if self._waiting >= self._most_waiting:
                yield 0.0
            else:
                yield BUSY_MERGE_SECONDS if self._together >= BUSY_MESSAGES else MERGE_SECONDS
        finally:
            self._waiting -= 1


async def apply_lifecycle(events: Sequence[LifecycleEvent], records: Records, merge: Merge) -> None:
    """Applies the events of one message; they are committed when this returns."""
    since = time_ns()
    with merge.patience() as patience:
        await records.write(merge, events, patience=patience)
    if is_tracing():
        _trace(events, since, time_ns())


def _trace(events: Sequence[LifecycleEvent], since_ns: int, until_ns: int) -> None:
    """Records one span for each event with a trace: events share message and commit, but no trace."""
    for event in events:
        if event.traceparent is not None:
            attributes: Attributes = {
                "messaging.system": "rabbitmq",
                "messaging.operation.type": "process",
                "messaging.operation.name": "process",
                "messaging.destination.name": work_queue(STATUS_SERVICE),
                "messaging.batch.message_count": len(events),
                "waybill.task_id": event.data.task_id,
            }
            name = f"record {event.type.value}"
            past_span(name, SpanKind.CONSUMER, event.traceparent, attributes, since_ns, until_ns)


def _apply(
    alerts: Alerts | None,
    metrics: StatusMetrics,
    terms: Callable[[], SpawnTerms],
    connection: Connection,
    batches: Sequence[Sequence[LifecycleEvent]],
) -> Sequence[None]:
    merged = apply_events(connection, (event for batch in batches for event in batch))
    now = terms()
    failures = merged.failures + _spawn(connection, merged.spawned, now)
    if alerts is not None:
        alerts.report(connection, failures, now.now)
    # Before the commit; if it fails, which is rare, they are counted twice.
    for service, wait in merged.picked_up:
        metrics.picked_up(service, wait.total_seconds())
    for task_id in merged.unknown:
        log.warning("lifecycle events of a task that the ledger does not know", task_id=task_id)
    return [None] * len(batches)


def _spawn(connection: Connection, spawned: Sequence[Spawned], terms: SpawnTerms) -> list[Failure]:
    """Accepts spawned tasks; returns those that no service can do, which have failed already."""
    if not spawned:
        return []
    accepted = accept_spawned(connection, spawned, terms)
    for batch in spawned:
        log.info("spawned tasks accepted", task_id=batch.task_id, by=batch.service, tasks=len(batch.tasks))
    for refusal in accepted.refusals:
        data = refusal.data
        log.error("no service can do a spawned task", task_id=data.task_id, kind=data.kind, error=data.error)
    return apply_events(connection, accepted.refusals).failures
