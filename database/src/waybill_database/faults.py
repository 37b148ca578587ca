"""Meaning of database errors: one table for every process, for SQLite and PostgreSQL.

An error outside the table is a defect: the same statement would fail again.
"""

import re
import sqlite3
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, StatementError


class Fault(StrEnum):
    """Fault of a statement, and how to handle it."""

    #: The database is unavailable, and any other statement would fail, too: wait and retry.
    AWAY = "away"
    #: Like `AWAY`, but perhaps only for this connection: a new one may reach the server that took over.
    STALE = "stale"
    #: Rolled back in favour of another transaction: retry at once.
    CONFLICT = "conflict"
    #: A lock was not available in time: retry later.
    HELD_UP = "held up"
    #: The database refuses the values of the statement: a retry would fail, too.
    VALUES = "values"
    #: The database refuses access: an operator must fix that.
    REFUSED = "refused"
    #: The statement is wrong.
    DEFECT = "defect"


_UNAVAILABLE: Final = frozenset({Fault.AWAY, Fault.STALE, Fault.REFUSED})

#: SQLSTATEs of PostgreSQL (manual, appendix A), or their classes: the first two characters. A state takes
#: precedence over its class.
_POSTGRES: Final[Mapping[str, Fault]] = {
    "08": Fault.AWAY,  # the connection broke
    "21": Fault.VALUES,
    "22": Fault.VALUES,  # text with NUL, a number out of range …
    "23": Fault.VALUES,  # a constraint
    "25006": Fault.STALE,  # read-only: a standby, or a server that becomes one
    "25P03": Fault.AWAY,  # it ended a transaction that was idle too long …
    "25P04": Fault.AWAY,  # … or took too long
    "28": Fault.REFUSED,  # password, role, pg_hba.conf
    "3D": Fault.REFUSED,  # no such database
    "40001": Fault.CONFLICT,  # serialization failure
    "40003": Fault.AWAY,  # unknown whether it was completed
    "40P01": Fault.CONFLICT,  # deadlock
    "42501": Fault.REFUSED,  # missing privilege
    "53": Fault.AWAY,  # connections (53300), disk (53100), memory (53200)
    "55P03": Fault.HELD_UP,  # `lock_timeout`
    "57": Fault.AWAY,  # shut down (57P01, 57P02), starting (57P03), `statement_timeout` (57014)
    "58": Fault.AWAY,  # disk failure
}
#: Primary result codes of SQLite (sqlite.org/rescode.html).
_SQLITE: Final[Mapping[int, Fault]] = {
    sqlite3.SQLITE_BUSY: Fault.AWAY,  # "database is locked"
    sqlite3.SQLITE_LOCKED: Fault.AWAY,
    sqlite3.SQLITE_INTERRUPT: Fault.AWAY,
    sqlite3.SQLITE_NOMEM: Fault.AWAY,
    sqlite3.SQLITE_PROTOCOL: Fault.AWAY,  # locks of others blocked it for too long
    sqlite3.SQLITE_FULL: Fault.AWAY,
    # A file opened while it, its folder or the disk was read-only stays read-only on that connection.
    sqlite3.SQLITE_READONLY: Fault.STALE,
    sqlite3.SQLITE_IOERR: Fault.STALE,
    sqlite3.SQLITE_CANTOPEN: Fault.STALE,
    sqlite3.SQLITE_PERM: Fault.REFUSED,
    sqlite3.SQLITE_AUTH: Fault.REFUSED,
    sqlite3.SQLITE_CORRUPT: Fault.REFUSED,  # the file is damaged …
    sqlite3.SQLITE_NOTADB: Fault.REFUSED,  # … or not a SQLite file
    sqlite3.SQLITE_CONSTRAINT: Fault.VALUES,
    sqlite3.SQLITE_MISMATCH: Fault.VALUES,
    sqlite3.SQLITE_TOOBIG: Fault.VALUES,
}
#: An extended result code of SQLite holds the primary one in its low byte.
PRIMARY: Final = 0xFF
#: Messages of libpq, which has no error types, for TLS failures: the server is not trusted, or the client
#: certificate is unusable (fe-secure-openssl.c).
DISTRUST_OF_LIBPQ: Final = (
    "certificate verify failed",
    "does not match host name",
    "root certificate file",
    "could not read certificate file",
    "could not load private key file",
    "server does not support SSL",
)
#: English messages of a server that refuses a connection for good: libpq passes on the text, but no state.
_REFUSED_WORDS: Final = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "permission denied for database",
    "is not permitted to log in",
    "is not currently accepting connections",
    *DISTRUST_OF_LIBPQ,
)
#: Message about a missing role or database.
_MISSING: Final = re.compile(r'(role|database) ".*" does not exist')


def fault_of(error: BaseException) -> Fault:
    """Fault of an error."""
    if not isinstance(error, DBAPIError):
        # A statement with values that cannot be bound never reached the driver.
        return Fault.VALUES if isinstance(error, StatementError) else Fault.DEFECT
    named = _named(error.orig)
    if named is not None:
        return named
    return Fault.AWAY if error.connection_invalidated else _unnamed(error)


def _named(cause: BaseException | None) -> Fault | None:
    """Fault by the error code of the database; None: it has no code, or the table does not list it."""
    if isinstance(cause, sqlite3.Error):
        code: int | None = getattr(cause, "sqlite_errorcode", None)
        return None if code is None else _SQLITE.get(code & PRIMARY)
    state = _state(cause)
    return None if state is None else _POSTGRES.get(state) or _POSTGRES.get(state[:2])


def _unnamed(error: DBAPIError) -> Fault:
    if _state(error.orig) is not None or isinstance(error.orig, sqlite3.Error):
        return Fault.DEFECT
    if isinstance(error, DataError):  # the driver did not send it
        return Fault.VALUES
    if isinstance(error, OperationalError | InterfaceError):  # no server was reached
        return Fault.REFUSED if _is_refused(str(error.orig)) else Fault.AWAY
    return Fault.DEFECT


def _state(cause: BaseException | None) -> str | None:
    # By attribute: importing the driver costs a process on SQLite ten megabytes.
    state: str | None = getattr(cause, "sqlstate", None)
    return state


def is_unavailable(error: BaseException) -> bool:
    """Whether the database is unavailable, so that any other statement would fail, too."""
    return fault_of(error) in _UNAVAILABLE


def is_conflict(error: BaseException) -> bool:
    """Whether it was rolled back in favour of another transaction, and may be retried."""
    return fault_of(error) is Fault.CONFLICT


def is_held_up(error: BaseException) -> bool:
    """Whether a lock was not available in time, so that the transaction should be retried later."""
    return fault_of(error) is Fault.HELD_UP


def _is_refused(words: str) -> bool:
    return any(known in words for known in _REFUSED_WORDS) or _MISSING.search(words) is not None
