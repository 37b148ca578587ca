"""The slot check: finds schedules that would pass over a slot, as after a clock that was ahead."""

from dataclasses import replace
from functools import partial
from typing import ClassVar, Final

from waybill_database import Records
from waybill_ledger import SlotLook, bring_forward, find_postponed
from waybill_worker.observe.logs import get_logger
from waybill_worker.runtime.background import Background
from waybill_worker.runtime.throttle import throttled

log = get_logger(__name__)

#: Seconds between two looks at all schedules: so much late is a slot at most when a clock is right again.
LOOK_SECONDS: Final = 60.0
#: Schedules looked at at once: some milliseconds.
STEP: Final = 50


class SlotCheck(Background):
    """Checks for as long as it runs; several may."""

    NAME: ClassVar = "slot check"

    def __init__(self, records: Records) -> None:
        super().__init__(every_seconds=LOOK_SECONDS)
        self._records = records

    async def check(self) -> int:
        """Looks at all schedules, and gives those their slot that would pass over it; their number."""
        changed = 0
        look: SlotLook | None = SlotLook(self._records.now(), STEP)
        while look is not None:
            seen = await throttled(self._records.read(partial(find_postponed, look=look)))
            if seen.postponed:
                changed += await self._records.write(bring_forward, seen.postponed)
            for each in seen.postponed:
                log.warning(
                    "a schedule would pass over a slot; it gets it",
                    schedule=each.name,
                    schedule_id=each.id,
                    slot=each.due_at.isoformat(),
                    instead_of=each.next_at.isoformat(),
                )
            look = None if seen.after is None else replace(look, now=self._records.now(), after=seen.after)
        return changed

    async def _run_once(self) -> None:
        await self.check()
