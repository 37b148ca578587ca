"""The pruner: deletes what is over after its retention time, in small steps with pauses."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final

from waybill_contracts.states import State
from waybill_database import Records
from waybill_ledger import PruneKeys, PruneStep, oldest_finished, prune_keys, prune_tasks
from waybill_ledger.counts import KEEP_HOURS, KEEP_MINUTES, FoldStep, fold_counts
from waybill_status.upkeep.metrics import StatusMetrics
from waybill_worker.observe import get_logger
from waybill_worker.runtime import PeriodicTask, scan_in_batches

log = get_logger(__name__)

#: Most tasks in one transaction: other writers wait about five milliseconds for it.
STEP: Final = 50


@dataclass(frozen=True, slots=True)
class Retention:
    """Retention times after the end; None: for good."""

    tasks: timedelta | None
    failed: timedelta | None
    keys: timedelta | None

    def of(self, state: State) -> timedelta | None:
        """Retention time of tasks in a final state."""
        return self.failed if state is State.FAILED else self.tasks


class Pruner(PeriodicTask):
    """Prunes for as long as it runs; several may.

    Args:
        records: the ledger.
        retention: the retention times.
        look_seconds: seconds between passes.
        metrics: counts pruned tasks.
    """

    NAME: ClassVar = "pruner"

    def __init__(
        self, records: Records, retention: Retention, *, look_seconds: float, metrics: StatusMetrics
    ) -> None:
        # The start of a process is busy enough.
        super().__init__(every_seconds=look_seconds, waits_first=True)
        self._records = records
        self._retention = retention
        self._metrics = metrics

    async def prune(self) -> int:
        """Prunes everything that is due; returns the number of tasks."""
        now = self._records.now()
        # First, because it is short, and must not wait for what is long, or fails.
        fold = FoldStep(now - KEEP_MINUTES, now - KEEP_HOURS, STEP)
        async for _ in scan_in_batches(self._records, fold_counts, fold, relaxed=True):
            pass
        tasks = 0
        for state, oldest in (await self._records.read(oldest_finished)).items():
            keep = self._retention.of(state)
            if keep is not None and oldest < now - keep:
                tasks += await self._prune_tasks(PruneStep(state, now - keep, now, STEP))
        if tasks:
            log.info("pruned finished tasks", tasks=tasks)
        if self._retention.keys is not None:
            request = PruneKeys(now - self._retention.keys, STEP)
            async for _ in scan_in_batches(self._records, prune_keys, request, relaxed=True):
                pass
        return tasks

    async def _prune_tasks(self, step: PruneStep) -> int:
        tasks = 0
        # Tasks that a power cut restores are pruned again.
        async for done in scan_in_batches(self._records, prune_tasks, step, relaxed=True):
            self._metrics.pruned(step.state, done.tasks)
            tasks += done.tasks
        return tasks

    async def _run_once(self) -> None:
        await self.prune()
