"""Prunes the rows of an inbox that are not needed any more to recognise messages.

A row must outlive every message of its attempt. A message may wait on the delay ladder (36 hours at most), be
snoozed (a day), and stay in the work queue for as long as the service is away. So rows are kept for many days
after their lease, and none is deleted before this process has seen the work queue empty: then all messages
that waited while the service was away have been recognised.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

from sqlalchemy import Connection, delete, select, tuple_

from waybill_database import Records
from waybill_worker.broker import QueueStats
from waybill_worker.inbox.cancelled_tasks import CANCELLED
from waybill_worker.inbox.claims import RowState
from waybill_worker.inbox.table import INBOX
from waybill_worker.observe import get_logger
from waybill_worker.runtime import PeriodicTask, scan_in_batches

log = get_logger(__name__)

#: Rows that one transaction reads.
STEP: Final = 200
#: Seconds between two passes.
PASS_SECONDS: Final = 600.0
#: Passes without an empty work queue after which a warning is logged: six hours.
PASSES_UNTIL_WARNING: Final = 36


@dataclass(frozen=True, slots=True)
class InboxStep:
    """A step of a pass: deletes what was done, or cancelled, before a time."""

    service: str
    before: datetime
    most: int
    #: Last task of the step before; empty: begin with the oldest.
    after: str = ""


@dataclass(frozen=True, slots=True)
class PrunedInbox:
    """The result of a step."""

    rows: int
    #: The task after which the next step begins; None: the pass has ended.
    after: str | None


def prune_inbox(connection: Connection, steps: Sequence[InboxStep]) -> Sequence[PrunedInbox]:
    """Deletes attempts that are done; a batch write for `Records.write`.

    It follows the ids of tasks, which are in the order of time, and so needs no index of its own. A claim
    without an outcome stays: another run will take it over.
    """
    return [_prune(connection, step) for step in steps]


def prune_cancelled(connection: Connection, steps: Sequence[InboxStep]) -> Sequence[PrunedInbox]:
    """Deletes records of cancelled tasks; a batch write for `Records.write`."""
    return [_prune_cancelled(connection, step) for step in steps]


class InboxPruner(PeriodicTask):
    """Prunes the inbox of one service while it runs; several may.

    Args:
        records: the inbox's database.
        service: the service.
        keep: how long rows are kept.
        queue_stats: returns the state of the service's work queue; None: the broker gives none now.
    """

    NAME: ClassVar = "inbox pruner"

    def __init__(
        self,
        records: Records,
        service: str,
        *,
        keep: timedelta,
        queue_stats: Callable[[], Awaitable[QueueStats | None]],
    ) -> None:
        super().__init__(every_seconds=PASS_SECONDS, waits_first=True)
        self._records = records
        self._service = service
        self._keep = keep
        self._queue_stats = queue_stats
        self._has_seen_empty = False
        #: Passes that did not find the work queue empty.
        self._passes = 0

    async def prune(self) -> int:
        """Deletes what is due, unless messages may wait that need to be recognised.

        Returns:
            How many rows were deleted.
        """
        if not self._has_seen_empty and not await self._queue_was_empty():
            return 0
        step = InboxStep(self._service, self._records.now() - self._keep, STEP)
        rows = 0
        for write in (prune_inbox, prune_cancelled):
            async for done in scan_in_batches(self._records, write, step):
                rows += done.rows
        if rows:
            log.info("pruned the inbox", rows=rows)
        return rows

    async def _queue_was_empty(self) -> bool:
        seen = await self._queue_stats()
        self._has_seen_empty = seen is not None and seen.waiting == 0
        if not self._has_seen_empty:
            self._passes += 1
            if self._passes % PASSES_UNTIL_WARNING == 0:
                log.warning(
                    "the inbox grows: nothing is pruned before the work queue was empty once",
                    passes=self._passes,
                    waiting=None if seen is None else seen.waiting,
                )
        return self._has_seen_empty

    async def _run_once(self) -> None:
        await self.prune()


def _prune(connection: Connection, step: InboxStep) -> PrunedInbox:
    columns = (INBOX.c.task_id, INBOX.c.redrive_no, INBOX.c.state, INBOX.c.lease_until)
    along = select(*columns).where(INBOX.c.service == step.service, INBOX.c.task_id > step.after)
    # A redrive of the last task that the limit cuts off is left to a later pass.
    rows = connection.execute(along.order_by(INBOX.c.task_id, INBOX.c.redrive_no).limit(step.most)).all()
    due = [
        (row.task_id, row.redrive_no)
        for row in rows
        if row.state == RowState.DONE and row.lease_until < step.before
    ]
    if due:
        # The condition again: a later attempt may have taken the row over meanwhile.
        connection.execute(
            delete(INBOX).where(
                INBOX.c.service == step.service,
                tuple_(INBOX.c.task_id, INBOX.c.redrive_no).in_(due),
                INBOX.c.state == RowState.DONE,
                INBOX.c.lease_until < step.before,
            )
        )
    return PrunedInbox(len(due), _next(rows, step))


def _prune_cancelled(connection: Connection, step: InboxStep) -> PrunedInbox:
    of_service = CANCELLED.c.service == step.service
    along = select(CANCELLED.c.task_id, CANCELLED.c.at).where(of_service, CANCELLED.c.task_id > step.after)
    rows = connection.execute(along.order_by(CANCELLED.c.task_id).limit(step.most)).all()
    due = [row.task_id for row in rows if row.at < step.before]
    if due:
        connection.execute(delete(CANCELLED).where(of_service, CANCELLED.c.task_id.in_(due)))
    return PrunedInbox(len(due), _next(rows, step))


def _next(rows: Sequence[Any], step: InboxStep) -> str | None:
    if len(rows) < step.most:
        return None
    last: str = rows[-1].task_id
    made_at = _made_at(last)
    # Tasks after one that was made later than `before` were claimed, or cancelled, later still.
    return None if made_at is not None and made_at >= step.before else last


def _made_at(task_id: str) -> datetime | None:
    """The time in a UUIDv7 (RFC 9562, 5.7): its first 48 bits, in milliseconds. None: another kind of id."""
    try:
        uuid = UUID(task_id)
    except ValueError:
        return None
    return datetime.fromtimestamp((uuid.int >> 80) / 1000, UTC) if uuid.version == 7 else None  # noqa: PLR2004 - see above
