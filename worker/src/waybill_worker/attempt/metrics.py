"""The metrics of attempts. No label holds an id."""

from collections.abc import Iterable
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from waybill_contracts.wire import DeadReason
from waybill_worker.outcome import Died, Outcome, RetryLater

#: Seconds: from a record written nearby to an image of a hundred megapixels.
HANDLER_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
#: Seconds: from the first retry to the longest wait of the delay ladder, 36 hours.
WAIT_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 3600, 14_400, 131_072)
#: The kind of a message that could not be read.
UNKNOWN_KIND: Final = "unknown"


class AttemptMetrics:
    """The outcomes of a service's attempts; each is counted once, when its outcome is recorded.

    Args:
        service: the service.
        registry: registers the metrics.
        kinds: what it handles: the counts of these begin at zero.
    """

    def __init__(self, service: str, registry: CollectorRegistry, kinds: Iterable[str]) -> None:
        self._service = service
        labels = ("service", "kind")
        self._attempts = Counter(
            "waybill_attempts_total",
            "Attempts by outcome: completed, retry, snoozed, died, cancelled.",
            (*labels, "outcome"),
            registry=registry,
        )
        self._dead = Counter(
            "waybill_dead_letters_total",
            "Messages without a further attempt, by reason.",
            (*labels, "reason"),
            registry=registry,
        )
        self._seconds = Histogram(
            "waybill_handler_seconds",
            "Duration of handlers.",
            labels,
            buckets=HANDLER_BUCKETS,
            registry=registry,
        )
        self._waits = Histogram(
            "waybill_retry_wait_seconds",
            "Wait before the next attempt after a failure.",
            labels,
            buckets=WAIT_BUCKETS,
            registry=registry,
        )
        self._lost = Counter(
            "waybill_lease_losses_total",
            "Attempts that lost their claim to another copy while they ran.",
            ("service",),
            registry=registry,
        )
        in_work = Gauge(
            "waybill_messages_in_work",
            "Messages in work.",
            ("service",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._in_work = in_work.labels(service)
        self._lost.labels(service)
        self._begin_at_zero(kinds)

    def _begin_at_zero(self, kinds: Iterable[str]) -> None:
        # Prometheus sees no increase from no value to 1, and would miss the first of each.
        for kind in kinds:
            for outcome in get_args(Outcome):
                self._attempts.labels(self._service, kind, outcome.model_fields["is_"].default)
            for reason in DeadReason:
                self._dead.labels(self._service, kind, reason.value)
        self._dead.labels(self._service, UNKNOWN_KIND, DeadReason.UNREADABLE.value)

    def recorded(self, kind: str, outcome: Outcome) -> None:
        """Count an attempt whose outcome is recorded."""
        self._attempts.labels(self._service, kind, outcome.is_).inc()
        self._seconds.labels(self._service, kind).observe(outcome.seconds)
        if isinstance(outcome, RetryLater):
            self._waits.labels(self._service, kind).observe(outcome.wait_seconds)
        if isinstance(outcome, Died):
            self._dead.labels(self._service, kind, outcome.reason.value).inc()

    def unreadable(self) -> None:
        """Count a message that could not be read, and is a dead letter."""
        self._dead.labels(self._service, UNKNOWN_KIND, DeadReason.UNREADABLE.value).inc()

    def lease_lost(self) -> None:
        """Count an attempt that another copy has taken over."""
        self._lost.labels(self._service).inc()

    def in_work(self, messages: int) -> None:
        """Set how many messages are in work."""
        self._in_work.set(messages)
