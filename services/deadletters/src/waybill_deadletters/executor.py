"""The executor: sends the letters of started redrives at their rate, and settles their outcomes."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import ClassVar, Final

from waybill_database import Records
from waybill_ledger import PendingMessage, delete_published, put_back
from waybill_ledger.deadletters.letters import ContractGate
from waybill_ledger.deadletters.redrives import (
    Settlement,
    Turn,
    may_send,
    may_settle,
    redrives_under_way,
    send,
    settle,
)
from waybill_worker.observe import get_logger
from waybill_worker.publish import Publisher, relay_all
from waybill_worker.runtime import PeriodicTask

log = get_logger(__name__)

#: Seconds between checks for started redrives, and for outcomes of running ones.
IDLE_SECONDS: Final = 0.5
CHECK_SECONDS: Final = 0.1
#: Most batches at the broker: the next one is prepared while earlier ones are being confirmed.
MOST_BATCHES: Final = 4
#: Pause before the outbox relay publishes rows with a failed publish.
AFTER_FAILURE: Final = timedelta(seconds=1)


class Executor(PeriodicTask):
    """Runs redrives for as long as it runs; several may run at once, and share them.

    Args:
        records: the ledger.
        publisher: publishes to the default exchange.
        keep_for: how long settled letters are kept.
        gate: gives the contracts and keys of now, for a last check.
    """

    NAME: ClassVar = "redrive"

    def __init__(
        self, records: Records, publisher: Publisher, *, keep_for: timedelta, gate: Callable[[], ContractGate]
    ) -> None:
        super().__init__(every_seconds=IDLE_SECONDS)
        self._records = records
        self._publisher = publisher
        self._keep_for = keep_for
        self._gate = gate
        self._batches = asyncio.Semaphore(MOST_BATCHES)
        self._publishing: set[asyncio.Task[None]] = set()

    async def step(self) -> float:
        """Advances each redrive as far as possible now.

        Returns:
            Seconds until the next step.
        """
        under_way = await self._records.read(redrives_under_way)
        waits = [await self._advance(redrive_id) for redrive_id in under_way]
        return min(waits, default=IDLE_SECONDS)

    async def _advance(self, redrive_id: int) -> float:
        now = self._records.now()
        settlement = Settlement(redrive_id, now, self._keep_for)
        if await self._records.read(partial(may_settle, settlement=settlement)):
            settled = await self._records.write(settle, settlement)
            if settled.halted_because is not None:
                log.warning("the redrive halts", redrive=redrive_id, because=settled.halted_because)
        turn = Turn(redrive_id, now, self._gate())
        if not await self._records.read(partial(may_send, turn=turn)):
            return CHECK_SECONDS
        sent = await self._records.write(send, turn)
        if sent.messages:
            log.info("redriving", redrive=redrive_id, letters=len(sent.messages))
            await self._publish_soon(sent.messages)
        if sent.next_at is None:
            return CHECK_SECONDS
        return min(CHECK_SECONDS, max(0.0, (sent.next_at - self._records.now()).total_seconds()))

    async def _publish_soon(self, messages: Sequence[PendingMessage]) -> None:
        await self._batches.acquire()
        task = asyncio.create_task(self._publish(messages))
        self._publishing.add(task)
        task.add_done_callback(self._published)

    def _published(self, task: asyncio.Task[None]) -> None:
        self._publishing.discard(task)
        self._batches.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            # The outbox relay publishes what is left, and the inbox drops duplicates.
            log.warning("published letters stay in the outbox", error=error)

    async def _publish(self, messages: Sequence[PendingMessage]) -> None:
        confirmed, failed = await relay_all(self._publisher, messages)
        if confirmed:
            await self._records.write(delete_published, confirmed)
        if failed:
            await self._records.write(put_back, (failed, self._records.now() + AFTER_FAILURE))

    async def _run_once(self) -> float:
        return await self.step()

    async def stop(self) -> None:
        """Stops after the batches that are being published."""
        await super().stop()
        if self._publishing:
            await asyncio.wait(self._publishing)
