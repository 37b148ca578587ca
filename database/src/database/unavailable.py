"""Tells a database that is away, and a write that was in another's way, from a write that it refuses."""

import sqlite3

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
PRIMARY = 0xFF
#: PostgreSQL's classes of SQLSTATE (its manual, appendix A): connection, resources, operator, system.
_POSTGRES_CLASSES = ("08", "53", "57", "58")
#: Its states for a transaction that gave way to another, and may be tried again at once: serialization
#: failure and deadlock.
_POSTGRES_CONFLICTS = frozenset({"40001", "40P01"})
#: Its state for a lock that was not to be had within `lock_timeout`.
_POSTGRES_HELD_UP = "55P03"


def is_unavailable(error: BaseException) -> bool:
    """Whether the database itself cannot be used just now, so that any other write would fare the same."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        code: int | None = getattr(cause, "sqlite_errorcode", None)
        return code is not None and code & PRIMARY in _SQLITE_CODES
    state = _postgres_state(error)
    if state is None:  # it never spoke to a server
        return isinstance(error, OperationalError | InterfaceError)
    return state.startswith(_POSTGRES_CLASSES)


def is_conflict(error: BaseException) -> bool:
    """Whether it gave way to another transaction: nothing of it happened, and it may be done again."""
    return _postgres_state(error) in _POSTGRES_CONFLICTS


def is_held_up(error: BaseException) -> bool:
    """Whether a lock was not to be had in time, so that the transaction should be done again later."""
    return _postgres_state(error) == _POSTGRES_HELD_UP


def _postgres_state(error: BaseException) -> str | None:
    # Asked for by its attribute: importing the driver costs a process on SQLite ten megabytes.
    cause = error.orig if isinstance(error, DBAPIError) else None
    state: str | None = getattr(cause, "sqlstate", None)
    return state
