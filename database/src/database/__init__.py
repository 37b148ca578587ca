"""How a process keeps records: engines for SQLite and PostgreSQL, and the group commit."""

from database.columns import Instant, insert_new, one_at_a_time
from database.engine import open_engine
from database.group_commit import BatchWrite, GroupCommit
from database.records import Records

__all__ = ["BatchWrite", "GroupCommit", "Instant", "Records", "insert_new", "one_at_a_time", "open_engine"]
