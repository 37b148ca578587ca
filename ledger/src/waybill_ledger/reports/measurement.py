"""The last measurement of ledger and broker, kept for those who may ask neither broker nor whole ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python
from sqlalchemy import Connection, select

from waybill_database import insert_into
from waybill_ledger.reports.measures import Gap, OpenWork
from waybill_ledger.schema import MEASUREMENTS


@dataclass(frozen=True, slots=True)
class QueueMeasured:
    """A queue at the broker."""

    #: Messages that wait for a consumer.
    messages: int
    consumers: int
    #: When a measurement first found no consumer; None: there is one, or it is not known.
    idle_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the status service measured at one time. Each field may be of a release without it."""

    at: datetime
    #: Whether there are tasks of other tenants than the default one.
    has_tenants: bool = True
    #: The open subtasks of each tenant that has any.
    work: dict[str, list[OpenWork]] = field(default_factory=dict)
    #: The tasks of the last day that cannot be placed, of each tenant that has any.
    gaps: dict[str, Gap] = field(default_factory=dict)
    #: Number of due tasks that are not known to be at the broker, and since when the oldest one is due.
    unpublished: int = 0
    oldest_unpublished: datetime | None = None
    #: By name; None: the broker did not answer.
    queues: dict[str, QueueMeasured] | None = None
    #: Size of the ledger's database on disk.
    bytes: int = 0


def store_measurements(connection: Connection, measurements: Sequence[Measurement]) -> Sequence[None]:
    """Replaces the measurement by the newest of these; a batch write for `Records.write`."""
    newest = max(measurements, key=lambda each: each.at)
    insert = insert_into(connection, MEASUREMENTS).values(
        id=_ONLY, at=newest.at, measured=to_jsonable_python(newest)
    )
    # Several processes measure.
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[MEASUREMENTS.c.id],
            set_={"at": insert.excluded.at, "measured": insert.excluded.measured},
            where=MEASUREMENTS.c.at < insert.excluded.at,
        )
    )
    return [None] * len(measurements)


def last_measurement(connection: Connection) -> Measurement | None:
    """The measurement; None: there is none yet."""
    measured = connection.scalar(select(MEASUREMENTS.c.measured))
    return None if measured is None else _MEASUREMENT.validate_python(measured)


_ONLY = 1
_MEASUREMENT = TypeAdapter(Measurement)
