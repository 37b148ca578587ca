"""The housekeeper: checks letters again after a release has changed the contracts, and forgets old ones."""

from datetime import timedelta
from typing import ClassVar, Final

from waybill_contracts.privacy.seal import Keyring
from waybill_database import Records
from waybill_ledger.deadletters.letters.pruning import Pruning, prune
from waybill_ledger.deadletters.letters.recheck import recheck_all
from waybill_worker.observe.logs import get_logger
from waybill_worker.runtime.background import Background

log = get_logger(__name__)

#: Letters in one transaction: other writers wait no longer than that takes.
STEP: Final = 500


class Housekeeper(Background):
    """Keeps house for as long as it runs; several may."""

    NAME: ClassVar = "housekeeping"

    def __init__(
        self, records: Records, keyring: Keyring, *, every_seconds: float, keep_for: timedelta
    ) -> None:
        super().__init__(every_seconds=every_seconds)
        self._records = records
        self._keyring = keyring
        self._keep_for = keep_for

    async def keep_house(self) -> None:
        """Does all that is due now, in small steps."""
        if checked := await recheck_all(self._records, self._keyring, step=STEP):
            log.info("checked letters against the contracts of this release", letters=checked)
        forgotten = 0
        while step := await self._records.write(prune, Pruning(self._records.now(), STEP, self._keep_for)):
            forgotten += step
        if forgotten:
            log.info("forgot letters and redrives whose time is over", rows=forgotten)

    async def _run_once(self) -> None:
        await self.keep_house()
