"""The outlook: what the processes that work beside the tasks have to do, in one statement."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from waybill_ledger.schema import OUTBOX, REGISTRY, SCHEDULES


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be done in a ledger, and when."""

    #: When the next row of the outbox becomes available; None: there are only held ones, or none.
    outbox_at: datetime | None
    #: When the next slot of a schedule is due; None: there is none.
    slot_at: datetime | None
    #: Whether tasks are held until the queues of their services are short.
    is_any_held: bool
    #: Of the registry.
    revision: int


def outlook(connection: Connection) -> Outlook:
    """Reads the outlook: a step in an index for each part."""
    row = connection.execute(_OUTLOOK).one()
    return Outlook(row.outbox_at, row.slot_at, row.held_key is not None, row.revision)


# Built once: to build a statement takes longer than to run it.
_OUTLOOK = select(
    select(func.min(OUTBOX.c.available_at)).where(~OUTBOX.c.held).scalar_subquery().label("outbox_at"),
    select(func.min(SCHEDULES.c.next_at)).scalar_subquery().label("slot_at"),
    select(func.min(OUTBOX.c.routing_key)).where(OUTBOX.c.held).scalar_subquery().label("held_key"),
    select(REGISTRY.c.revision).scalar_subquery().label("revision"),
)
