"""A service's record of cancelled tasks: one row each, kept through every restart."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

from sqlalchemy import Column, Connection, MetaData, String, Table, bindparam, select

from waybill_database import DriverStatement, Instant, among, insert_new

CANCELLED_METADATA = MetaData()
CANCELLED = Table(
    "cancelled",
    CANCELLED_METADATA,
    Column("service", String(64), primary_key=True),
    Column("task_id", String(64), primary_key=True),
    Column("at", Instant, nullable=False),
)


def mark(connection: Connection, marks: Sequence[tuple[str, str]]) -> Sequence[None]:
    """Record (service, task) pairs as cancelled; a batch write for `Records.write`."""
    now = datetime.now(UTC)
    rows = [{"service": service, "task_id": task_id, "at": now} for service, task_id in sorted(marks)]
    connection.execute(insert_new(connection, CANCELLED), rows)
    return [None] * len(marks)


def cancelled_among(connection: Connection, service: str, task_ids: AbstractSet[str]) -> set[str]:
    """Those of `task_ids` that were cancelled."""
    if not task_ids:
        return set()
    found = _AMONG.rows(connection, {"service": service, "task_ids": list(task_ids)})
    return {row.task_id for row in found}


_AMONG = DriverStatement(
    lambda dialect: select(CANCELLED.c.task_id).where(
        CANCELLED.c.service == bindparam("service"), among(dialect, CANCELLED.c.task_id, "task_ids")
    )
)
