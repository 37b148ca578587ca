"""Metrics of the whole installation: ledger, outbox, queues."""

from datetime import datetime
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from waybill_contracts.registry import Registry
from waybill_contracts.states import State
from waybill_ledger import FINISHED, Measures
from waybill_ledger.schema import CLASS_BOUNDS

_OPEN: Final = tuple(state for state in State if not state.is_terminal)


class StatusMetrics:
    """The metrics. Several status services report the same values of the ledger, so use the maximum."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # Each process measures the same ledger.
        gauge = partial(Gauge, registry=registry, multiprocess_mode="livemostrecent")
        self._pickup = Histogram(
            "waybill_pickup_seconds",
            "From when a task was due to when its first attempt began.",
            ("service",),
            buckets=CLASS_BOUNDS,
            registry=registry,
        )
        self._put_back = Counter(
            "waybill_put_back_total",
            "Attempts that were put back because their heartbeat was overdue.",
            ("service",),
            registry=registry,
        )
        self._subtasks = gauge(
            "waybill_subtasks",
            "Subtasks without an outcome, by state.",
            ("service", "state"),
        )
        self._oldest = gauge(
            "waybill_oldest_pending_seconds",
            "Age of the subtask that has been pending longest; 0: none is.",
            ("service",),
        )
        self._silent = gauge(
            "waybill_silent_subtasks",
            "Subtasks that were put back and have had no heartbeat since.",
            ("service",),
        )
        self._unpublished = gauge(
            "waybill_outbox_tasks", "Tasks that are due and not known to be at the broker."
        )
        self._lag = gauge("waybill_outbox_lag_seconds", "Seconds since the oldest of them was due.")
        self._gap = gauge(
            "waybill_accounting_gap",
            "Tasks accepted in the last day that cannot be placed: see GET /v1/accounting.",
        )
        self._waiting = gauge("waybill_queue_messages", "Messages that wait for a consumer.", ("queue",))
        self._consumers = gauge("waybill_queue_consumers", "Consumers of a queue.", ("queue",))
        self._undeclared = gauge(
            "waybill_undeclared_routes",
            "Routes of kinds to their services that the broker is not known to have.",
        )
        self._measured = gauge("waybill_measured_timestamp_seconds", "Time of the last measurement.")
        self._pruned = Counter(
            "waybill_pruned_tasks_total",
            "Finished tasks that were pruned after their retention time.",
            ("state",),
            registry=registry,
        )
        self._oldest_kept = gauge(
            "waybill_oldest_task_seconds",
            "Seconds since the oldest task in a final state was accepted; 0: there is none.",
            ("state",),
        )
        self._bytes = gauge("waybill_ledger_bytes", "Size of the ledger's database on the disk.")
        for state in FINISHED:
            self._pruned.labels(state.value)

    def picked_up(self, service: str, seconds: float) -> None:
        """Records how long after its due time the first attempt of a subtask began."""
        self._pickup.labels(service).observe(max(0.0, seconds))

    def put_back(self, service: str) -> None:
        """Counts an attempt that was put back."""
        self._put_back.labels(service).inc()

    def pruned(self, state: State, tasks: int) -> None:
        """Counts pruned tasks."""
        self._pruned.labels(state.value).inc(tasks)

    def queue(self, name: str, waiting: int, consumers: int) -> None:
        """Sets the statistics of a queue."""
        self._waiting.labels(name).set(waiting)
        self._consumers.labels(name).set(consumers)

    def measured(self, measures: Measures, registry: Registry, now: datetime) -> None:
        """Sets the measurements of the ledger, for each of the registered services."""
        self._undeclared.set(sum(1 for _ in registry.undeclared))
        for service in registry.work_services:
            # Prometheus sees no increase from no value to 1.
            self._put_back.labels(service)
            for state in _OPEN:
                self._subtasks.labels(service, state.value).set(measures.open[service].get(state, 0))
            self._oldest.labels(service).set(_age(measures.oldest_pending.get(service), now))
            self._silent.labels(service).set(measures.put_back.get(service, 0))
        self._unpublished.set(measures.unpublished)
        self._lag.set(_age(measures.oldest_unpublished, now))
        self._gap.set(measures.unplaced)
        for state in FINISHED:
            self._oldest_kept.labels(state.value).set(_age(measures.oldest_finished.get(state), now))
        self._bytes.set(measures.bytes)
        self._measured.set(now.timestamp())


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
