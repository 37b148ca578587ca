"""Finding schedules whose next slot lies behind one that is due earlier, and giving them that one.

A schedule's next slot is computed when the one before is released. Should the clock have been ahead then, or
the rules of its time zone have been others, it is not the next one from now on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from waybill_ledger.schedules.schedules import Schedule
from waybill_ledger.schema.tables import SCHEDULES


@dataclass(frozen=True, slots=True)
class SlotLook:
    """A wish to look at the next few schedules."""

    now: datetime
    most: int
    #: The id of the last one that was looked at; empty: none yet.
    after: str = ""


@dataclass(frozen=True, slots=True)
class Postponed:
    """A schedule that would pass over a slot."""

    id: str
    name: str
    next_at: datetime
    #: The slot that it would pass over.
    due_at: datetime


@dataclass(frozen=True, slots=True)
class SlotsSeen:
    """What a look came to."""

    postponed: list[Postponed]
    #: Where the next look begins; None: all have been looked at.
    after: str | None


def find_postponed(connection: Connection, look: SlotLook) -> SlotsSeen:
    """Looks at some schedules; writes nothing."""
    rows = connection.execute(
        select(SCHEDULES)
        .where(SCHEDULES.c.id > look.after, SCHEDULES.c.next_at > look.now)
        .order_by(SCHEDULES.c.id)
        .limit(look.most)
    ).all()
    schedules = [Schedule.of(row) for row in rows]
    postponed = [
        Postponed(schedule.id, schedule.plan.name, schedule.next_at, due)
        for schedule in schedules
        if schedule.next_at is not None
        and (due := schedule.recurrence.first(look.now)) is not None
        and due < schedule.next_at
    ]
    return SlotsSeen(postponed, schedules[-1].id if len(schedules) == look.most else None)


def bring_forward(connection: Connection, batches: Sequence[Sequence[Postponed]]) -> Sequence[int]:
    """Gives schedules the slot that they would pass over; a batch write for `Records.write`.

    Returns:
        For each batch how many are as they were seen, and so were changed.
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
