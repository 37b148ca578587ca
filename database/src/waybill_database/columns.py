# ruff: noqa: ARG002 - SQLAlchemy hands type decorators a dialect, needed or not
"""Column types and statements that mean the same on both databases."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, Dialect, Executable, Table, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

    #: An INSERT of either database: both have the same clauses for conflicts.
    AnyInsert = postgresql.Insert | sqlite.Insert

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Advisory lock for changes of schemas; the number is "waybill" as ASCII.
_SCHEMA_LOCK = 0x77617962696C6C


def microseconds(at: datetime) -> int:
    """A point in time as stored: whole microseconds since 1970 UTC."""
    return (at - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """A point in time in UTC; reverses `microseconds`."""
    return _EPOCH + timedelta(microseconds=count)


class Instant(TypeDecorator[datetime]):
    """A point in time as whole microseconds since 1970 UTC: exact, comparable, equal on both databases."""

    impl = BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], int | None]:
        """Converts to microseconds for the database."""
        return _stored

    def process_literal_param(self, value: datetime | None, dialect: Dialect) -> str:
        """As text of a statement, in which tests and plans show a value."""
        return "NULL" if value is None else str(_stored(value))

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], datetime | None]:
        """Converts from the database to a point in time in UTC."""
        return _read


def _stored(at: datetime | None) -> int | None:
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def _read(count: int | None) -> datetime | None:
    return None if count is None else _EPOCH + timedelta(microseconds=count)


def insert_new(connection: Connection, table: Table, *returning: Column[Any]) -> Executable:
    """An INSERT that skips rows with an existing key, and returns `returning` of the new ones."""
    return insert_new_in(connection.dialect.name, table, *returning)


def insert_adding(connection: Connection, column: Column[int]) -> Executable:
    """An INSERT that adds to the number in `column` if the key exists."""
    return _insert_adding(connection.dialect.name, column)


def insert_into(connection: Connection, table: Table) -> "AnyInsert":
    """An INSERT that takes a clause for rows with an existing key."""
    return insert_in(connection.dialect.name, table)


@cache  # building a statement takes longer than running it
def insert_new_in(dialect: str, table: Table, *returning: ColumnElement[Any]) -> Executable:
    """The statement of `insert_new` for a dialect."""
    statement = insert_in(dialect, table).inline().on_conflict_do_nothing()
    return statement.returning(*returning) if returning else statement


@cache
def _insert_adding(dialect: str, column: Column[int]) -> Executable:
    table = column.table
    insert = insert_in(dialect, table)
    statement: Executable = insert.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={column.name: column + insert.excluded[column.name]}
    )
    return statement


def insert_in(dialect: str, table: Any) -> "AnyInsert":
    """The statement of `insert_into` for a dialect."""
    if dialect != "postgresql":
        return sqlite.insert(table)
    # Imported here: it costs a process on SQLite two megabytes.
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - see the comment

    return postgresql.insert(table)


def one_at_a_time(connection: Connection) -> None:
    """Serialises processes that change the schema of one database, until the transaction ends.

    On PostgreSQL one of two processes that create the same table would fail; SQLite has one writer in any
    case.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
