"""The slot check: corrects schedules that would skip a slot, for example after a clock was ahead."""

from dataclasses import replace
from functools import partial
from typing import ClassVar, Final

from waybill_database import Records
from waybill_ledger import SlotScan, bring_forward, find_postponed
from waybill_worker.observe import get_logger
from waybill_worker.runtime import PeriodicTask, throttled

log = get_logger(__name__)

#: Seconds between checks of all schedules: the most that a slot is late after a clock is right again.
CHECK_SECONDS: Final = 60.0
#: Most schedules in one query, which takes some milliseconds.
STEP: Final = 50


class SlotCheck(PeriodicTask):
    """Checks for as long as it runs; several may."""

    NAME: ClassVar = "slot check"

    def __init__(self, records: Records) -> None:
        super().__init__(every_seconds=CHECK_SECONDS)
        self._records = records

    async def check(self) -> int:
        """Checks all schedules, and corrects those that would skip a slot; returns their number."""
        changed = 0
        scan: SlotScan | None = SlotScan(self._records.now(), STEP)
        while scan is not None:
            seen = await throttled(self._records.read(partial(find_postponed, scan=scan)))
            if seen.postponed:
                changed += await self._records.write(bring_forward, seen.postponed)
            for each in seen.postponed:
                log.warning(
                    "a schedule would have skipped a slot; corrected",
                    schedule=each.name,
                    schedule_id=each.id,
                    slot=each.due_at.isoformat(),
                    instead_of=each.next_at.isoformat(),
                )
            scan = None if seen.after is None else replace(scan, now=self._records.now(), after=seen.after)
        return changed

    async def _run_once(self) -> None:
        await self.check()
