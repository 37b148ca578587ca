"""Records of a process: engines for SQLite and PostgreSQL, and the group commit."""

from waybill_database.clock import LEAP, system_time
from waybill_database.columns import (
    Instant,
    from_microseconds,
    insert_adding,
    insert_in,
    insert_into,
    insert_new,
    insert_new_in,
    microseconds,
)
from waybill_database.driver_statement import DriverStatement, among, sent_together
from waybill_database.engine import READ_ONLY, open_engine, session_of
from waybill_database.faults import (
    DISTRUST_OF_LIBPQ,
    Fault,
    fault_of,
    is_conflict,
    is_held_up,
    is_unavailable,
)
from waybill_database.group_commit import BatchWrite, GroupCommit
from waybill_database.records import ANSWER_SECONDS, READERS, Records
from waybill_database.schema_turn import schema_turn
from waybill_database.tables import make_tables
from waybill_database.waiting import Wait, reason_of, until_reachable

__all__ = [
    "ANSWER_SECONDS",
    "DISTRUST_OF_LIBPQ",
    "LEAP",
    "READERS",
    "READ_ONLY",
    "BatchWrite",
    "DriverStatement",
    "Fault",
    "GroupCommit",
    "Instant",
    "Records",
    "Wait",
    "among",
    "fault_of",
    "from_microseconds",
    "insert_adding",
    "insert_in",
    "insert_into",
    "insert_new",
    "insert_new_in",
    "is_conflict",
    "is_held_up",
    "is_unavailable",
    "make_tables",
    "microseconds",
    "open_engine",
    "reason_of",
    "schema_turn",
    "sent_together",
    "session_of",
    "system_time",
    "until_reachable",
]
