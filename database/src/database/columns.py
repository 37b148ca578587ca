# ruff: noqa: ARG002 - SQLAlchemy hands type decorators a dialect, needed or not
"""Column types and statements that mean the same on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """A point in time as whole microseconds since 1970 UTC: exact, comparable and the same everywhere."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database: microseconds."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """From the database: a point in time in UTC."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


def insert_new(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that passes over rows whose key exists; add `.returning()` to learn which were new."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()
