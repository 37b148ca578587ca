"""Tells a database that is away from a write that it refuses."""

import sqlite3

from psycopg import Error as PostgresError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

#: SQLite's primary result codes for a file that cannot be used now: locked by another, no room, no disk.
_SQLITE_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)
#: An extended result code holds the primary one in its low byte (sqlite.org/rescode.html).
_PRIMARY = 0xFF
#: PostgreSQL's classes of SQLSTATE (its manual, appendix A): connection, resources, operator, system.
_POSTGRES_CLASSES = ("08", "53", "57", "58")


def is_unavailable(error: BaseException) -> bool:
    """Whether the database itself cannot be used just now, so that any other write would fare the same."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        code: int | None = getattr(cause, "sqlite_errorcode", None)
        return code is not None and code & _PRIMARY in _SQLITE_CODES
    if isinstance(cause, PostgresError):
        # Without a state it never spoke to a server.
        if cause.sqlstate is None:
            return isinstance(error, OperationalError | InterfaceError)
        return cause.sqlstate.startswith(_POSTGRES_CLASSES)
    return False
