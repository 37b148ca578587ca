"""The measurer: measures ledger and queues at intervals, for Prometheus and for the overview."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import ClassVar, Final

from waybill_contracts.registry import Registry
from waybill_database import Records
from waybill_ledger import (
    Measurement,
    Measures,
    QueueMeasured,
    Range,
    StallTimeouts,
    measure,
    store_measurements,
)
from waybill_status.upkeep.metrics import StatusMetrics
from waybill_worker.broker import QueueStats
from waybill_worker.observe import get_logger
from waybill_worker.runtime import PeriodicTask, pause_since

log = get_logger(__name__)

#: How far back it searches for unplaced tasks; GET /v1/accounting searches all.
ACCOUNTED: Final = timedelta(days=1)


class Measurer(PeriodicTask):
    """Measures for as long as it runs; several may: the ledger keeps the newest measurement.

    Args:
        records: the ledger.
        metrics: gets the measurements.
        timeouts: after which a silent task counts as unplaced.
        look_seconds: seconds between measurements; more if one takes long.
        registry: gives the registry as it is now.
        queues: gives the names of the queues that there are now.
        queue_stats: gets the statistics of one queue; None: the broker is unavailable.
    """

    NAME: ClassVar = "measurer"

    def __init__(
        self,
        records: Records,
        metrics: StatusMetrics,
        *,
        timeouts: StallTimeouts,
        look_seconds: float,
        registry: Callable[[], Registry],
        queues: Callable[[], Sequence[str]],
        queue_stats: Callable[[str], Awaitable[QueueStats | None]],
    ) -> None:
        super().__init__(every_seconds=look_seconds)
        self._records = records
        self._metrics = metrics
        self._timeouts = timeouts
        self._registry = registry
        self._queues = queues
        self._queue_stats = queue_stats
        #: When each queue without a consumer was first found so.
        self._idle: dict[str, datetime] = {}

    async def measure(self) -> None:
        """Measures once."""
        now = self._records.now()
        wanted = Range(now, self._timeouts, since=now - ACCOUNTED)
        measures = await self._records.read(partial(measure, wanted=wanted))
        self._metrics.measured(measures, self._registry(), now)
        queues = await self._measure_queues(now)
        # Lost with the power, it is measured again.
        await self._records.write(store_measurements, _measurement(now, measures, queues), relaxed=True)

    async def _measure_queues(self, now: datetime) -> dict[str, QueueMeasured] | None:
        """The queues that there are; None: the broker is away."""
        measured = {}
        for queue in self._queues():
            stats = await self._queue_stats(queue)
            if stats is None:
                return None  # further requests would only wait
            self._metrics.queue(queue, stats.waiting, stats.consumers)
            idle_since = None if stats.consumers else self._idle.get(queue, now)
            measured[queue] = QueueMeasured(stats.waiting, stats.consumers, idle_since)
        self._idle = {name: queue.idle_since for name, queue in measured.items() if queue.idle_since}
        return measured

    async def _run_once(self) -> float:
        # Waiting rows are counted one by one: a million takes seconds.
        started = monotonic()
        await self.measure()
        return max(self._every_seconds, pause_since(started))


def _measurement(now: datetime, measures: Measures, queues: dict[str, QueueMeasured] | None) -> Measurement:
    return Measurement(
        at=now,
        has_tenants=measures.has_tenants,
        work=measures.work,
        gaps=measures.gaps,
        unpublished=measures.unpublished,
        oldest_unpublished=measures.oldest_unpublished,
        queues=queues,
        bytes=measures.bytes,
    )
