"""What an error of the database means: one table for every process, on SQLite and on PostgreSQL.

Whatever the table does not name is a defect: the same statement would fail again.
"""

import re
import sqlite3
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, StatementError


class Fault(StrEnum):
    """What befell a statement, and so what is to be done."""

    #: The database cannot be used just now, and any other statement would fare the same: wait, and repeat.
    AWAY = "away"
    #: As `AWAY`, and it is this connection that sees it so: a new one may lead to the server that took over.
    STALE = "stale"
    #: It gave way to another transaction, and nothing of it happened: repeat at once.
    CONFLICT = "conflict"
    #: A lock was not to be had in time: repeat later.
    HELD_UP = "held up"
    #: The database refuses the values that the statement carries: a repeat changes nothing.
    VALUES = "values"
    #: The database is there and refuses us: only people can mend that.
    REFUSED = "refused"
    #: A statement that is wrong.
    DEFECT = "defect"


_UNAVAILABLE: Final = frozenset({Fault.AWAY, Fault.STALE, Fault.REFUSED})

#: PostgreSQL's SQLSTATEs (its manual, appendix A), or their classes: the first two characters. A state counts
#: before its class.
_POSTGRES: Final[Mapping[str, Fault]] = {
    "08": Fault.AWAY,  # the connection broke
    "21": Fault.VALUES,
    "22": Fault.VALUES,  # text with NUL, a number out of range …
    "23": Fault.VALUES,  # a constraint
    "25006": Fault.STALE,  # read-only: a standby, or a server that is about to become one
    "25P03": Fault.AWAY,  # it ended a transaction that was idle for too long …
    "25P04": Fault.AWAY,  # … or took too long
    "28": Fault.REFUSED,  # password, role, pg_hba.conf
    "3D": Fault.REFUSED,  # no such database
    "40001": Fault.CONFLICT,  # serialization failure
    "40003": Fault.AWAY,  # whether it was completed is unknown
    "40P01": Fault.CONFLICT,  # deadlock
    "42501": Fault.REFUSED,  # a right that was not granted
    "53": Fault.AWAY,  # connections (53300), disk (53100), memory (53200)
    "55P03": Fault.HELD_UP,  # `lock_timeout`
    "57": Fault.AWAY,  # shut down (57P01, 57P02), starting (57P03), `statement_timeout` (57014)
    "58": Fault.AWAY,  # its disk fails
}
#: SQLite's primary result codes (sqlite.org/rescode.html).
_SQLITE: Final[Mapping[int, Fault]] = {
    sqlite3.SQLITE_BUSY: Fault.AWAY,  # "database is locked"
    sqlite3.SQLITE_LOCKED: Fault.AWAY,
    sqlite3.SQLITE_INTERRUPT: Fault.AWAY,
    sqlite3.SQLITE_NOMEM: Fault.AWAY,
    sqlite3.SQLITE_PROTOCOL: Fault.AWAY,  # others were in the way of its locks for too long
    sqlite3.SQLITE_FULL: Fault.AWAY,
    # A file that was opened while it, its folder or the disk could only be read stays so on that connection.
    sqlite3.SQLITE_READONLY: Fault.STALE,
    sqlite3.SQLITE_IOERR: Fault.STALE,
    sqlite3.SQLITE_CANTOPEN: Fault.STALE,
    sqlite3.SQLITE_PERM: Fault.REFUSED,
    sqlite3.SQLITE_AUTH: Fault.REFUSED,
    sqlite3.SQLITE_CORRUPT: Fault.REFUSED,  # the file is damaged …
    sqlite3.SQLITE_NOTADB: Fault.REFUSED,  # … or none of SQLite's
    sqlite3.SQLITE_CONSTRAINT: Fault.VALUES,
    sqlite3.SQLITE_MISMATCH: Fault.VALUES,
    sqlite3.SQLITE_TOOBIG: Fault.VALUES,
}
#: An extended result code of SQLite holds the primary one in its low byte.
PRIMARY: Final = 0xFF
#: How libpq, whose errors have no types, says that it does not trust the server, or that it cannot tell the
#: server who we are (fe-secure-openssl.c).
DISTRUST_OF_LIBPQ: Final = (
    "certificate verify failed",
    "does not match host name",
    "root certificate file",
    "could not read certificate file",
    "could not load private key file",
    "server does not support SSL",
)
#: How a server that speaks English refuses a connection for good: libpq passes its words on, but no state.
_REFUSED_WORDS: Final = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "permission denied for database",
    "is not permitted to log in",
    "is not currently accepting connections",
    *DISTRUST_OF_LIBPQ,
)
#: The same of a role or a database that is missing.
_MISSING: Final = re.compile(r'(role|database) ".*" does not exist')


def fault_of(error: BaseException) -> Fault:
    """What `error` means."""
    if not isinstance(error, DBAPIError):
        # One that could not even be bound never reached the driver.
        return Fault.VALUES if isinstance(error, StatementError) else Fault.DEFECT
    named = _named(error.orig)
    if named is not None:
        return named
    return Fault.AWAY if error.connection_invalidated else _unnamed(error)


def _named(cause: BaseException | None) -> Fault | None:
    """What the database's own number for it means; None: it has none, or the table does not name it."""
    if isinstance(cause, sqlite3.Error):
        code: int | None = getattr(cause, "sqlite_errorcode", None)
        return None if code is None else _SQLITE.get(code & PRIMARY)
    state = _state(cause)
    return None if state is None else _POSTGRES.get(state) or _POSTGRES.get(state[:2])


def _unnamed(error: DBAPIError) -> Fault:
    if _state(error.orig) is not None or isinstance(error.orig, sqlite3.Error):
        return Fault.DEFECT
    if isinstance(error, DataError):  # the driver did not even send it
        return Fault.VALUES
    if isinstance(error, OperationalError | InterfaceError):  # it never spoke to a server
        return Fault.REFUSED if _is_refused(str(error.orig)) else Fault.AWAY
    return Fault.DEFECT


def _state(cause: BaseException | None) -> str | None:
    # Asked for by its attribute: importing the driver costs a process on SQLite ten megabytes.
    state: str | None = getattr(cause, "sqlstate", None)
    return state


def is_unavailable(error: BaseException) -> bool:
    """Whether the database cannot be used just now, so that any other statement would fare the same."""
    return fault_of(error) in _UNAVAILABLE


def is_conflict(error: BaseException) -> bool:
    """Whether it gave way to another transaction: nothing of it happened, and it may be done again."""
    return fault_of(error) is Fault.CONFLICT


def is_held_up(error: BaseException) -> bool:
    """Whether a lock was not to be had in time, so that the transaction should be done again later."""
    return fault_of(error) is Fault.HELD_UP


def _is_refused(words: str) -> bool:
    return any(known in words for known in _REFUSED_WORDS) or _MISSING.search(words) is not None
