"""The measurer: looks at ledger and queues from time to time, for Prometheus."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import ClassVar, Final

from waybill_database import Records
from waybill_ledger import Range, StallTimeouts, measure
from waybill_status.upkeep.metrics import StatusMetrics
from waybill_worker.broker.connection import QueueStats
from waybill_worker.observe.logs import get_logger
from waybill_worker.runtime.background import Background
from waybill_worker.runtime.throttle import pause_since

log = get_logger(__name__)

#: How far back tasks are looked at for whether they can be placed; GET /v1/accounting looks further.
ACCOUNTED: Final = timedelta(days=1)


class Measurer(Background):
    """Measures for as long as it runs.

    Args:
        records: the ledger.
        metrics: takes what was seen.
        patience: after which silence counts as a gap.
        look_seconds: seconds between looks; longer where a look takes long.
        queues: the names of the queues to look at.
        look: looks at one; None: the broker cannot tell now.
    """

    NAME: ClassVar = "measurer"

    def __init__(
        self,
        records: Records,
        metrics: StatusMetrics,
        *,
        patience: StallTimeouts,
        look_seconds: float,
        queues: Sequence[str],
        look: Callable[[str], Awaitable[QueueStats | None]],
    ) -> None:
        super().__init__(every_seconds=look_seconds)
        self._records = records
        self._metrics = metrics
        self._patience = patience
        self._queues = queues
        self._look = look

    async def measure(self) -> None:
        """Measures once."""
        now = self._records.now()
        wanted = Range(now, self._patience, since=now - ACCOUNTED)
        self._metrics.measured(await self._records.read(partial(measure, wanted=wanted)), now)
        for queue in self._queues:
            seen = await self._look(queue)
            if seen is None:
                return  # the broker is away: asking for the others would only wait
            self._metrics.queue(queue, seen.waiting, seen.consumers)

    async def _run_once(self) -> float:
        # What waits is counted one by one: of a million it takes seconds.
        started = monotonic()
        await self.measure()
        return max(self._every_seconds, pause_since(started))
