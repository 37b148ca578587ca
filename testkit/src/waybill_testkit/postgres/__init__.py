"""A private PostgreSQL for a test run, its failover, and its programs."""

from waybill_testkit.postgres.private import (
    InstalledPostgres,
    Postgres,
    PostgresError,
    private_postgres,
    restartable_postgres,
)

__all__ = [
    "InstalledPostgres",
    "Postgres",
    "PostgresError",
    "private_postgres",
    "restartable_postgres",
]
