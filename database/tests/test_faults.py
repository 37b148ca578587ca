"""The table of faults, by errors that both databases really raise."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, StatementError

from waybill_database import Fault, fault_of, is_unavailable, open_engine
from waybill_testkit.postgres.private import Postgres


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    engine = open_engine(url, connections=1)
    yield engine
    engine.dispose()


def raised_by(engine: Engine, *statements: str, **values: object) -> Exception:
    try:
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement), values)
    except StatementError as error:
        return error
    raise AssertionError("the database took it")


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ("25006", Fault.STALE),  # read_only_sql_transaction
        ("57P01", Fault.AWAY),  # admin_shutdown
        ("57P02", Fault.AWAY),  # crash_shutdown
        ("57P03", Fault.AWAY),  # cannot_connect_now
        ("57014", Fault.AWAY),  # query_canceled
        ("53100", Fault.AWAY),  # disk_full
        ("53200", Fault.AWAY),  # out_of_memory
        ("53300", Fault.AWAY),  # too_many_connections
        ("58030", Fault.AWAY),  # io_error
        ("08006", Fault.AWAY),  # connection_failure
        ("08P01", Fault.AWAY),  # protocol_violation
        ("25P03", Fault.AWAY),  # idle_in_transaction_session_timeout
        ("40001", Fault.CONFLICT),
        ("40P01", Fault.CONFLICT),
        ("55P03", Fault.HELD_UP),
        ("28P01", Fault.REFUSED),  # invalid_password
        ("3D000", Fault.REFUSED),  # invalid_catalog_name
        ("42501", Fault.REFUSED),  # insufficient_privilege
        ("22001", Fault.VALUES),
        ("23505", Fault.VALUES),
        ("42P01", Fault.DEFECT),  # undefined_table
        ("25001", Fault.DEFECT),  # of read-only's class, and something else
        ("XX000", Fault.DEFECT),
    ],
)
def test_postgresql_s_states(postgres: Postgres, state: str, fault: Fault) -> None:
    with opened(postgres.url) as engine:
        error = raised_by(engine, f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$")

    assert fault_of(error) is fault
    assert is_unavailable(error) == (fault in {Fault.AWAY, Fault.STALE, Fault.REFUSED})


def test_text_that_the_driver_refuses_is_no_absence(postgres: Postgres) -> None:
    with opened(postgres.url) as engine:
        assert fault_of(raised_by(engine, "SELECT CAST(:name AS text)", name="a\0b")) is Fault.VALUES


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("waybill:", "waybill:x", Fault.REFUSED),  # the password
        ("waybill:", "nobody:", Fault.REFUSED),  # the role
        ("/postgres", "/nothing", Fault.REFUSED),  # the database
        ("@127.0.0.1:", "@127.0.0.1:1", Fault.AWAY),  # the port
    ],
)
def test_a_connection_that_is_refused(postgres: Postgres, before: str, after: str, fault: Fault) -> None:
    with opened(postgres.url.replace(before, after)) as engine, pytest.raises(DBAPIError) as raised:
        engine.connect()

    assert fault_of(raised.value) is fault
    assert is_unavailable(raised.value)


def test_a_sqlite_that_is_full(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path}/full.db") as engine:
        fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) "
        error = raised_by(
            engine,
            "CREATE TABLE t (i)",
            "PRAGMA max_page_count = 10",
            f"{fill} INSERT INTO t SELECT i FROM n",
        )

    assert "full" in str(error)
    assert fault_of(error) is Fault.AWAY


def test_a_sqlite_that_can_only_be_read_is_left(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path}/some.db") as engine:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE t (i)"))
            connection.commit()
            connection.connection.dbapi_connection.execute("PRAGMA query_only = ON")  # type: ignore[union-attr] # is one
        error = raised_by(engine, "INSERT INTO t VALUES (1)")
        assert fault_of(error) is Fault.STALE
        # What it had of that is gone with its connection.
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO t VALUES (1)"))


def test_a_sqlite_that_is_locked_by_another(tmp_path: Path) -> None:
    file = tmp_path / "some.db"
    with sqlite3.connect(file) as holder:
        holder.execute("PRAGMA journal_mode = WAL")
        holder.execute("BEGIN IMMEDIATE")
        impatient = create_engine(f"sqlite:///{file}", connect_args={"timeout": 0})
        error = raised_by(impatient, "CREATE TABLE t (i)")
        impatient.dispose()

    assert "locked" in str(error)
    assert fault_of(error) is Fault.AWAY


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "some.db"
    file.write_bytes(b"nothing of SQLite's" * 1000)
    with opened(f"sqlite:///{file}") as engine, pytest.raises(DBAPIError) as raised:
        engine.connect()

    assert fault_of(raised.value) is Fault.REFUSED


def test_a_constraint_and_a_wrong_statement(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path}/some.db") as engine:
        insert = "INSERT INTO t VALUES (1)"
        assert fault_of(raised_by(engine, insert)) is Fault.DEFECT
        create = "CREATE TABLE t (i INTEGER PRIMARY KEY)"
        assert fault_of(raised_by(engine, create, insert, insert)) is Fault.VALUES
        assert fault_of(raised_by(engine, create, "INSERT INTO t VALUES (:i)", i=object())) is not Fault.AWAY
