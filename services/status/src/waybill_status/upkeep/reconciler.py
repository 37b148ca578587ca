"""The reconciler: publishes the same attempt again for every subtask with an overdue heartbeat."""

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import ClassVar, Final

from waybill_database import Records
from waybill_ledger import Overdue, OverdueSearch, StallTimeouts, is_any_overdue, reconcile
from waybill_status.upkeep.metrics import StatusMetrics
from waybill_worker.broker import QueueStats
from waybill_worker.observe import get_logger
from waybill_worker.runtime import PeriodicTask

log = get_logger(__name__)

#: Most subtasks put back at once: limits the damage of a wrong guess to the queues.
MOST_AT_ONCE: Final = 1000
#: Most waiting messages of lifecycle events; with more the ledger is behind.
MOST_WAITING: Final = 50


class Reconciler(PeriodicTask):
    """Puts back overdue subtasks for as long as it runs; several may run at once.

    Silence counts only while lifecycle events arrive: there is no check while they pile up, nor for one
    timeout of pending subtasks after the start or after the broker was away.

    Args:
        records: the ledger.
        timeouts: how long a heartbeat may be overdue.
        look_seconds: seconds between checks.
        queue_stats: gets the statistics of the queue of lifecycle events; None: the broker is unavailable.
        metrics: counts what is put back.
    """

    NAME: ClassVar = "reconciler"

    def __init__(
        self,
        records: Records,
        *,
        timeouts: StallTimeouts,
        look_seconds: float,
        queue_stats: Callable[[], Awaitable[QueueStats | None]],
        metrics: StatusMetrics,
    ) -> None:
        super().__init__(every_seconds=look_seconds, waits_first=True)
        self._records = records
        self._timeouts = timeouts
        self._queue_stats = queue_stats
        self._metrics = metrics
        #: On the monotonic clock, in seconds.
        self._listening_since = monotonic()

    def start(self) -> None:
        """Starts, and counts silence from now on."""
        self._listening_since = monotonic()
        super().start()

    async def reconcile(self) -> list[Overdue]:
        """Puts back subtasks that are overdue now.

        Returns:
            The subtasks; the outbox relay publishes them.
        """
        search = OverdueSearch(self._records.now(), self._timeouts, MOST_AT_ONCE)
        # Nearly always there is nothing, and a read needs no write lock.
        if not await self._records.read(lambda connection: is_any_overdue(connection, search)):
            return []
        found = await self._records.write(reconcile, search)
        for overdue in found:
            self._metrics.put_back(overdue.service)
            log.warning(
                "overdue: put back",
                task_id=overdue.task_id,
                service=overdue.service,
                kind=overdue.kind,
                state=overdue.state.value,
                attempt=overdue.attempt,
                snooze_no=overdue.snooze_no,
                redrive_no=overdue.redrive_no,
                expected_at=overdue.expected_at.isoformat(),
                times=overdue.times,
            )
        return found

    async def _run_once(self) -> None:
        events = await self._queue_stats()
        now = monotonic()
        if events is None:
            self._listening_since = now
            return
        if now - self._listening_since < self._timeouts.pending.total_seconds():
            return
        if events.waiting > MOST_WAITING:
            log.info("lifecycle events pile up: nothing counts as overdue", messages=events.waiting)
            return
        await self.reconcile()
