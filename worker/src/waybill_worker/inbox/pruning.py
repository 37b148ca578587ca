"""Forgetting what an inbox no longer needs to recognise.

The rule: a row must outlive every message of its attempt. A message may wait on the delay ladder (36 hours at
most), be snoozed (a day), and lie in the work queue for as long as the service is away. So rows are kept for
many days after their lease, and none is forgotten before this process has seen the work queue empty: whatever
waited while nobody was there has been recognised by then.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

from sqlalchemy import Connection, delete, select, tuple_

from waybill_database import Records
from waybill_worker.broker.connection import QueueStats
from waybill_worker.inbox.cancelled_tasks import CANCELLED
from waybill_worker.inbox.claims import RowState
from waybill_worker.inbox.table import INBOX
from waybill_worker.observe.logs import get_logger
from waybill_worker.runtime.background import Background
from waybill_worker.runtime.throttle import scan_in_batches

log = get_logger(__name__)

#: Rows that one transaction looks at.
STEP: Final = 200
#: Seconds between looks.
LOOK_SECONDS: Final = 600.0
#: An operator is told whenever so many looks have not found the work queue empty: every six hours.
LOOKS_UNTIL_TOLD: Final = 36


@dataclass(frozen=True, slots=True)
class InboxStep:
    """A wish to forget what was done, or called off, before a time."""

    service: str
    before: datetime
    most: int
    #: Where the last step ended; empty: begin with the oldest.
    after: str = ""


@dataclass(frozen=True, slots=True)
class PrunedInbox:
    """What a step came to."""

    rows: int
    #: Where the next step begins; None: there is nothing more to look at.
    after: str | None


def prune_inbox(connection: Connection, steps: Sequence[InboxStep]) -> Sequence[PrunedInbox]:
    """Forgets attempts that are done; a batch write for `Records.write`.

    It walks along the ids of tasks, which are in the order of time, and so needs no index of its own. A claim
    without an outcome stays: somebody is still to take it over.
    """
    return [_prune(connection, step) for step in steps]


def prune_cancelled(connection: Connection, steps: Sequence[InboxStep]) -> Sequence[PrunedInbox]:
    """Forgets that tasks were called off; a batch write for `Records.write`."""
    return [_prune_cancelled(connection, step) for step in steps]


class InboxPruner(Background):
    """Prunes the inbox of one service for as long as it runs; several may.

    Args:
        records: the inbox' database.
        service: whose inbox it is.
        keep: for how long rows are kept.
        look: looks at the service's work queue; None: the broker cannot tell now.
    """

    NAME: ClassVar = "inbox pruner"

    def __init__(
        self,
        records: Records,
        service: str,
        *,
        keep: timedelta,
        look: Callable[[], Awaitable[QueueStats | None]],
    ) -> None:
        super().__init__(every_seconds=LOOK_SECONDS, waits_first=True)
        self._records = records
        self._service = service
        self._keep = keep
        self._look = look
        self._has_seen_all = False
        #: Looks at the work queue that did not find it empty.
        self._looks = 0

    async def prune(self) -> int:
        """Forgets what is due, unless messages may wait that need to be recognised; the rows that went."""
        if not self._has_seen_all and not await self._sees_all():
            return 0
        step = InboxStep(self._service, self._records.now() - self._keep, STEP)
        rows = 0
        for write in (prune_inbox, prune_cancelled):
            async for done in scan_in_batches(self._records, write, step):
                rows += done.rows
        if rows:
            log.info("forgot attempts that need not be recognised any more", rows=rows)
        return rows

    async def _sees_all(self) -> bool:
        seen = await self._look()
        self._has_seen_all = seen is not None and seen.waiting == 0
        if not self._has_seen_all:
            self._looks += 1
            if self._looks % LOOKS_UNTIL_TOLD == 0:
                log.warning(
                    "the inbox grows: nothing is forgotten before the work queue was seen empty once",
                    looks=self._looks,
                    waiting=None if seen is None else seen.waiting,
                )
        return self._has_seen_all

    async def _run_once(self) -> None:
        await self.prune()


def _prune(connection: Connection, step: InboxStep) -> PrunedInbox:
    columns = (INBOX.c.task_id, INBOX.c.redrive_no, INBOX.c.state, INBOX.c.lease_until)
    along = select(*columns).where(INBOX.c.service == step.service, INBOX.c.task_id > step.after)
    # A redrive of the last task that is cut off here is left to a later pass.
    looked_at = connection.execute(along.order_by(INBOX.c.task_id, INBOX.c.redrive_no).limit(step.most)).all()
    due = [
        (row.task_id, row.redrive_no)
        for row in looked_at
        if row.state == RowState.DONE and row.lease_until < step.before
    ]
    if due:
        # Once more: a later attempt may have taken the row over meanwhile.
        connection.execute(
            delete(INBOX).where(
                INBOX.c.service == step.service,
                tuple_(INBOX.c.task_id, INBOX.c.redrive_no).in_(due),
                INBOX.c.state == RowState.DONE,
                INBOX.c.lease_until < step.before,
            )
        )
    return PrunedInbox(len(due), _next(looked_at, step))


def _prune_cancelled(connection: Connection, step: InboxStep) -> PrunedInbox:
    of_service = CANCELLED.c.service == step.service
    along = select(CANCELLED.c.task_id, CANCELLED.c.at).where(of_service, CANCELLED.c.task_id > step.after)
    looked_at = connection.execute(along.order_by(CANCELLED.c.task_id).limit(step.most)).all()
    due = [row.task_id for row in looked_at if row.at < step.before]
    if due:
        connection.execute(delete(CANCELLED).where(of_service, CANCELLED.c.task_id.in_(due)))
    return PrunedInbox(len(due), _next(looked_at, step))


def _next(looked_at: Sequence[Any], step: InboxStep) -> str | None:
    if len(looked_at) < step.most:
        return None
    last: str = looked_at[-1].task_id
    made_at = _made_at(last)
    # Whatever follows a task that was made later than that was claimed, or called off, later still.
    return None if made_at is not None and made_at >= step.before else last


def _made_at(task_id: str) -> datetime | None:
    """The time in a UUIDv7 (RFC 9562, 5.7): its first 48 bits, in milliseconds. None: it is none."""
    try:
        uuid = UUID(task_id)
    except ValueError:
        return None
    return datetime.fromtimestamp((uuid.int >> 80) / 1000, UTC) if uuid.version == 7 else None  # noqa: PLR2004 - see above
