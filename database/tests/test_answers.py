"""A PostgreSQL that does not answer in time."""

import time
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from waybill_database import is_unavailable, open_engine
from waybill_testkit.postgres.private import InstalledPostgres, Postgres


def test_a_server_that_is_frozen_fails_a_statement_in_time_and_serves_again_when_it_goes_on(
    own_postgres: InstalledPostgres,
) -> None:
    engine = open_engine(own_postgres.url, connections=1, answer_seconds=0.5)
    with engine.connect() as connection:
        own_postgres.freeze()
        began = time.monotonic()
        try:
            with pytest.raises(DBAPIError, match=r"has not answered for 1\.5 s") as refused:
                connection.execute(text("SELECT 1"))
        finally:
            own_postgres.thaw()

    assert is_unavailable(refused.value)
    assert 1 < time.monotonic() - began < 30
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


def test_the_server_ends_a_statement_that_takes_too_long(postgres: Postgres) -> None:
    engine = open_engine(postgres.url, connections=1, answer_seconds=0.1)
    for _ in range(2):
        with engine.connect() as connection, pytest.raises(DBAPIError, match="statement timeout") as refused:
            connection.execute(text("SELECT pg_sleep(60)"))
        assert is_unavailable(refused.value)
        assert not refused.value.connection_invalidated
    engine.dispose()


def test_a_new_connection_that_takes_no_setting_is_closed(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[psycopg.Connection[Any]] = []

    def execute(self: psycopg.Connection[Any], *_: object) -> None:
        refused.append(self)
        raise psycopg.OperationalError("the server is gone")

    monkeypatch.setattr(psycopg.Connection, "execute", execute)
    engine = open_engine(postgres.url, connections=1, answer_seconds=5)
    with pytest.raises(DBAPIError, match="the server is gone"):
        engine.connect()
    assert [connection.closed for connection in refused] == [True]
    engine.dispose()
