"""The measurer: measures ledger and queues at intervals, for Prometheus."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import ClassVar, Final

from waybill_contracts.registry import Registry
from waybill_database import Records
from waybill_ledger import Range, StallTimeouts, measure
from waybill_status.upkeep.metrics import StatusMetrics
from waybill_worker.broker import QueueStats
from waybill_worker.observe import get_logger
from waybill_worker.runtime import PeriodicTask, pause_since

log = get_logger(__name__)

#: How far back it searches for unplaced tasks; GET /v1/accounting searches all.
ACCOUNTED: Final = timedelta(days=1)


class Measurer(PeriodicTask):
    """Measures for as long as it runs.

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

    async def measure(self) -> None:
        """Measures once."""
        now = self._records.now()
        wanted = Range(now, self._timeouts, since=now - ACCOUNTED)
        measures = await self._records.read(partial(measure, wanted=wanted))
        self._metrics.measured(measures, self._registry(), now)
        for queue in self._queues():
            stats = await self._queue_stats(queue)
            if stats is None:
                return  # the broker is away: further requests would only wait
            self._metrics.queue(queue, stats.waiting, stats.consumers)

    async def _run_once(self) -> float:
        # Waiting rows are counted one by one: a million takes seconds.
        started = monotonic()
        await self.measure()
        return max(self._every_seconds, pause_since(started))
