# ruff: noqa: ARG002 - SQLAlchemy hands type decorators a dialect, needed or not
"""Column types and statements that mean the same on both databases."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Dialect, Executable, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeDecorator

#: Of either database: both say the same of conflicts in the same words.
AnyInsert = postgresql.Insert | sqlite.Insert
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: The advisory lock under which schemas are changed; the number is "waybill" as ASCII.
_SCHEMA_LOCK = 0x77617962696C6C


def microseconds(at: datetime) -> int:
    """A point in time as the databases hold it: whole microseconds since 1970 UTC."""
    return (at - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The point in time that `microseconds` made this of, in UTC."""
    return _EPOCH + timedelta(microseconds=count)


class Instant(TypeDecorator[datetime]):
    """A point in time as whole microseconds since 1970 UTC: exact, comparable and the same everywhere."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database: microseconds."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """From the database: a point in time in UTC."""
        return None if value is None else from_microseconds(value)


def insert_new(connection: Connection, table: Table, *returning: Column[Any]) -> Executable:
    """An INSERT that passes over rows whose key exists, and answers `returning` of those that were new."""
    return _insert_new(connection.dialect.name, table, returning)


def insert_adding(connection: Connection, column: Column[int]) -> Executable:
    """An INSERT that adds to the number in `column` where a row's key exists."""
    return _insert_adding(connection.dialect.name, column)


def insert_into(connection: Connection, table: Table) -> AnyInsert:
    """An INSERT that can be told what to do where a row's key exists."""
    return _insert(connection.dialect.name, table)


@cache  # to build a statement takes longer than to run it
def _insert_new(dialect: str, table: Table, returning: tuple[Column[Any], ...]) -> Executable:
    statement = _insert(dialect, table).on_conflict_do_nothing()
    return statement.returning(*returning) if returning else statement


@cache
def _insert_adding(dialect: str, column: Column[int]) -> Executable:
    table = column.table
    insert = _insert(dialect, table)
    statement: Executable = insert.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={column.name: column + insert.excluded[column.name]}
    )
    return statement


def _insert(dialect: str, table: Any) -> AnyInsert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def one_at_a_time(connection: Connection) -> None:
    """Has processes that change the schema of one database wait for each other, until the transaction ends.

    PostgreSQL lets two of them create the same table, and fails one; SQLite has one writer in any case.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
