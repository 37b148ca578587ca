"""How a process keeps records: engines for SQLite and PostgreSQL, and the group commit."""

from database.columns import Instant, from_microseconds, insert_adding, insert_into, insert_new, microseconds
from database.engine import open_engine
from database.faults import Fault, fault_of, is_conflict, is_held_up, is_unavailable
from database.group_commit import BatchWrite, GroupCommit
from database.records import Records
from database.schema_turn import schema_turn
from database.tables import make_tables

__all__ = [
    "BatchWrite",
    "Fault",
    "GroupCommit",
    "Instant",
    "Records",
    "fault_of",
    "from_microseconds",
    "insert_adding",
    "insert_into",
    "insert_new",
    "is_conflict",
    "is_held_up",
    "is_unavailable",
    "make_tables",
    "microseconds",
    "open_engine",
    "schema_turn",
]
