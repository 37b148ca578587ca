"""The releaser: creates the tasks of schedules when they are due; the outbox relay publishes them."""

from datetime import datetime, timedelta
from typing import ClassVar, Final

from waybill_contracts.privacy import Keyring
from waybill_contracts.wire import trace_id_of
from waybill_database import Records
from waybill_ledger import Release, ReleaseBatch, release_due
from waybill_ledger.registry import RegistryCopy
from waybill_status.outlooks import Outlooks
from waybill_worker.observe import get_logger
from waybill_worker.runtime import PeriodicTask

log = get_logger(__name__)

#: Seconds between checks: with that of the relay, a slot is at the broker well within a second.
CHECK_SECONDS: Final = 0.25
#: Most schedules in one transaction: limits how long other writers wait.
MOST_AT_ONCE: Final = 50
#: Pause between two tries of a schedule with a missing key.
RETRY_AFTER: Final = timedelta(minutes=1)


class ScheduleReleaser(PeriodicTask):
    """Releases for as long as it runs; several may run at once."""

    NAME: ClassVar = "releaser"

    def __init__(self, records: Records, keyring: Keyring, kinds: RegistryCopy, outlooks: Outlooks) -> None:
        super().__init__(every_seconds=CHECK_SECONDS)
        self._kinds = kinds
        self._records = records
        self._keyring = keyring
        self._outlooks = outlooks
        #: Schedules that cannot be opened here, and until when they are skipped.
        self._closed: dict[str, datetime] = {}

    async def release(self) -> list[Release]:
        """Releases due slots in one transaction."""
        now = self._records.now()
        due = (await self._outlooks.current()).slot_at
        if due is None or due > now:
            return []
        self._closed = {each: until for each, until in self._closed.items() if until > now}
        await self._kinds.refresh()
        registry = self._kinds.current
        batch = ReleaseBatch(now, MOST_AT_ONCE, self._keyring, registry, frozenset(self._closed))
        releases = await self._records.write(release_due, batch)
        # The tasks of the slots are in the outbox now.
        self._outlooks.expire()
        for release in releases:
            if release.closed is not None:
                self._closed[release.schedule.id] = now + RETRY_AFTER
            _log(release, now)
        return releases

    async def _run_once(self) -> float | None:
        return None if len(await self.release()) < MOST_AT_ONCE else 0


def _log(release: Release, now: datetime) -> None:
    schedule = release.schedule
    about = {"schedule": schedule.plan.name, "schedule_id": schedule.id}
    if release.closed is not None:
        log.error("a schedule that is due cannot be opened; it waits", error=release.closed, **about)
        return
    if release.error is not None:
        log.error("a schedule was paused: no task can be made of it", error=release.error, **about)
        return
    if release.has_skipped and schedule.next_at is not None:
        since = schedule.next_at.isoformat()
        log.warning("slots were missed", since=since, missed=schedule.plan.missed.value, **about)
    for task in release.tasks:
        if task.slot is not None:
            late = (now - task.slot.at).total_seconds()
            slot = task.slot.at.isoformat()
            of_task = {"task_id": task.id, "trace_id": trace_id_of(task.traceparent)}
            log.info("slot released", slot=slot, late_seconds=late, **of_task, **about)
