"""Correction of schedules that would skip a slot: they get an earlier one as their next slot.

The next slot of a schedule is computed when the previous one is released. If the clock was ahead then, or the
rules of the time zone were others, the stored slot is too late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from waybill_ledger.schedules.schedules import Schedule
from waybill_ledger.schema import SCHEDULES


@dataclass(frozen=True, slots=True)
class SlotScan:
    """Request to examine the next schedules."""

    now: datetime
    most: int
    #: Id of the last examined schedule; empty: none yet.
    after: str = ""


@dataclass(frozen=True, slots=True)
class Postponed:
    """A schedule that would skip a slot."""

    id: str
    name: str
    next_at: datetime
    #: The slot that it would skip.
    due_at: datetime


@dataclass(frozen=True, slots=True)
class SlotScanResult:
    """Result of a scan."""

    postponed: list[Postponed]
    #: Where the next scan begins; None: all are examined.
    after: str | None


def find_postponed(connection: Connection, scan: SlotScan) -> SlotScanResult:
    """Examines schedules; writes nothing."""
    rows = connection.execute(
        select(SCHEDULES)
        .where(SCHEDULES.c.id > scan.after, SCHEDULES.c.next_at > scan.now)
        .order_by(SCHEDULES.c.id)
        .limit(scan.most)
    ).all()
    schedules = [Schedule.of(row) for row in rows]
    postponed = [
        Postponed(schedule.id, schedule.plan.name, schedule.next_at, due)
        for schedule in schedules
        if schedule.next_at is not None
        and (due := schedule.recurrence.first(scan.now)) is not None
        and due < schedule.next_at
    ]
    return SlotScanResult(postponed, schedules[-1].id if len(schedules) == scan.most else None)


def bring_forward(connection: Connection, batches: Sequence[Sequence[Postponed]]) -> Sequence[int]:
    """Sets the slots that schedules would skip as their next ones; a batch write for `Records.write`.

    Returns:
        For each batch the number of changed schedules; those changed by others meanwhile do not count.
    """
    return [sum(_bring_forward(connection, each) for each in batch) for batch in batches]


def _bring_forward(connection: Connection, postponed: Postponed) -> int:
    seen = {"b_id": postponed.id, "b_next_at": postponed.next_at, "b_due_at": postponed.due_at}
    return connection.execute(_BRING_FORWARD, seen).rowcount


_BRING_FORWARD = (
    update(SCHEDULES)
    .where(SCHEDULES.c.id == bindparam("b_id"), SCHEDULES.c.next_at == bindparam("b_next_at"))
    .values(next_at=bindparam("b_due_at"))
)
