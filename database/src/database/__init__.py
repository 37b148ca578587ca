"""How a process keeps records: engines for SQLite and PostgreSQL, and the group commit."""

from database.columns import Instant, from_microseconds, insert_new, microseconds, one_at_a_time
from database.engine import open_engine
from database.group_commit import BatchWrite, GroupCommit
from database.records import Records
from database.tables import make_tables

__all__ = [
    "BatchWrite",
    "GroupCommit",
    "Instant",
    "Records",
    "from_microseconds",
    "insert_new",
    "make_tables",
    "microseconds",
    "one_at_a_time",
    "open_engine",
]
