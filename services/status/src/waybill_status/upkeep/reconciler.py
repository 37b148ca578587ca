"""The reconciler: puts the same attempt back for every subtask whose sign of life is overdue."""

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import ClassVar, Final

from waybill_database import Records
from waybill_ledger import Look, Overdue, StallTimeouts, is_any_overdue, reconcile
from waybill_status.upkeep.metrics import StatusMetrics
from waybill_worker.broker.connection import QueueStats
from waybill_worker.observe.logs import get_logger
from waybill_worker.runtime.background import Background

log = get_logger(__name__)

#: Subtasks put back in one look: bounds what a wrong guess adds to the queues.
MOST_AT_ONCE: Final = 1000
#: Messages of lifecycle events that may wait for us; with more of them the ledger is behind.
MOST_WAITING: Final = 50


class Reconciler(Background):
    """Looks for what is overdue for as long as it runs; several may run at once.

    It only believes in silence that it could have heard: no look while lifecycle events pile up unread, and
    a full patience of those pending after the broker was away, as after the start.

    Args:
        records: the ledger.
        patience: how long a sign of life may be overdue.
        look_seconds: seconds between looks.
        look: looks at the queue of lifecycle events that the broker holds for us; None: it is away.
        metrics: counts what is put back.
    """

    NAME: ClassVar = "reconciler"

    def __init__(
        self,
        records: Records,
        *,
        patience: StallTimeouts,
        look_seconds: float,
        look: Callable[[], Awaitable[QueueStats | None]],
        metrics: StatusMetrics,
    ) -> None:
        super().__init__(every_seconds=look_seconds, waits_first=True)
        self._records = records
        self._patience = patience
        self._look = look
        self._metrics = metrics
        #: On the monotonic clock, in seconds.
        self._listening_since = monotonic()

    def start(self) -> None:
        """Begins, and listens from now on."""
        self._listening_since = monotonic()
        super().start()

    async def reconcile(self) -> list[Overdue]:
        """Puts back what is overdue now.

        Returns:
            What was found; the sweep publishes it.
        """
        look = Look(self._records.now(), self._patience, MOST_AT_ONCE)
        # Nearly always there is nothing, and reading that needs no turn at writing.
        if not await self._records.read(lambda connection: is_any_overdue(connection, look)):
            return []
        found = await self._records.write(reconcile, look)
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
        events = await self._look()
        now = monotonic()
        if events is None:
            self._listening_since = now
            return
        if now - self._listening_since < self._patience.pending.total_seconds():
            return
        if events.waiting > MOST_WAITING:
            log.info("lifecycle events pile up: nothing counts as overdue", messages=events.waiting)
            return
        await self.reconcile()
