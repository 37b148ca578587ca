"""The housekeeper: checks letters again after a change of the contracts, and prunes old ones."""

from collections.abc import Callable
from datetime import timedelta
from typing import ClassVar, Final

from waybill_database import Records
from waybill_ledger.deadletters.letters import ContractGate, Pruning, prune, recheck_all
from waybill_worker.observe import get_logger
from waybill_worker.runtime import PeriodicTask

log = get_logger(__name__)

#: Most letters in one transaction: limits how long other writers wait.
STEP: Final = 500


class Housekeeper(PeriodicTask):
    """Runs at intervals; several may run at once."""

    NAME: ClassVar = "housekeeping"

    def __init__(
        self,
        records: Records,
        gate: Callable[[], ContractGate],
        *,
        every_seconds: float,
        keep_for: timedelta,
    ) -> None:
        super().__init__(every_seconds=every_seconds)
        self._records = records
        self._gate = gate
        self._keep_for = keep_for

    async def keep_house(self) -> None:
        """Does everything that is due, in small steps."""
        if checked := await recheck_all(self._records, self._gate(), step=STEP):
            log.info("checked letters against the registered contracts", letters=checked)
        pruned = 0
        while step := await self._records.write(prune, Pruning(self._records.now(), STEP, self._keep_for)):
            pruned += step
        if pruned:
            log.info("pruned letters and redrives", rows=pruned)

    async def _run_once(self) -> None:
        await self.keep_house()
