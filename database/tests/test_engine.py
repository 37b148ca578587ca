import asyncio
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from waybill_database import Records, open_engine
from waybill_database.engine import READ_ONLY
from waybill_testkit.postgres.private import Postgres


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/made/here/records.db", connections=3)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)]
)
def test_sqlite_keeps_what_it_is_told_to_keep(sqlite: Engine, pragma: str, value: str | int) -> None:
    with sqlite.connect() as connection:
        assert connection.scalar(text(f"PRAGMA {pragma}")) == value


def test_a_sqlite_write_is_rolled_back_whole_even_its_tables(sqlite: Engine) -> None:
    def fail() -> None:
        with sqlite.begin() as connection:
            connection.execute(text("CREATE TABLE things (id INTEGER)"))
            connection.execute(text("INSERT INTO things VALUES (1)"))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with sqlite.connect() as connection:
        assert list(connection.execute(text("SELECT name FROM sqlite_master"))) == []


def test_a_sqlite_reader_does_not_queue_behind_a_writer(sqlite: Engine) -> None:
    with sqlite.begin() as connection:
        connection.execute(text("CREATE TABLE things (id INTEGER)"))
    reading = sqlite.execution_options(**{READ_ONLY: True})
    with sqlite.begin() as writer:
        writer.execute(text("INSERT INTO things VALUES (1)"))
        with reading.begin() as reader:
            assert reader.scalar(text("SELECT count(*) FROM things")) == 0


def test_a_new_sqlite_file_can_be_opened_by_many_at_once(tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def use(number: int) -> int | None:
        engine = open_engine(f"sqlite:///{tmp_path}/{number}.db", connections=1)
        together.wait()
        try:
            with engine.begin() as connection:
                one: int | None = connection.scalar(text("SELECT 1"))
                return one
        finally:
            engine.dispose()

    # One file is refused once in about eight times, where nobody waits.
    with ThreadPoolExecutor(4) as pool:
        for number in range(50):
            assert list(pool.map(use, [number] * 4)) == [1] * 4


def test_a_sqlite_writer_waits_for_another_process(sqlite: Engine) -> None:
    with sqlite.begin() as connection:
        connection.execute(text("CREATE TABLE things (id INTEGER)"))
    begun = threading.Event()
    with closing(sqlite3.connect(str(sqlite.url.database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO things VALUES (1)")

        def write() -> None:
            begun.set()
            with sqlite.begin() as connection:
                connection.execute(text("INSERT INTO things VALUES (2)"))

        writing = threading.Thread(target=write)
        writing.start()
        begun.wait()
        other.execute("COMMIT")
        writing.join()
    with sqlite.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM things")) == 2


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://localhost/x"])
def test_other_databases_are_refused_in_words(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///"):
        open_engine(url, connections=1)


def test_an_error_shows_no_values(database_url: str) -> None:
    engine = open_engine(database_url, connections=1)
    with engine.connect() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(text("SELECT * FROM nowhere WHERE link = :link"), {"link": "https://secret"})
    engine.dispose()

    assert "secret" not in str(caught.value)


def test_an_absent_postgresql_is_told_at_once() -> None:
    engine = open_engine("postgresql://nobody@127.0.0.1:1/none", connections=1)
    with pytest.raises(OperationalError):
        engine.connect()
    engine.dispose()


async def test_records_write_read_and_close(database_url: str) -> None:
    records = Records(database_url)
    with records.engine.begin() as connection:
        connection.execute(text("CREATE TABLE things (id INTEGER)"))

    def store(connection: Connection, items: Sequence[int]) -> Sequence[None]:
        connection.execute(text("INSERT INTO things VALUES (:id)"), [{"id": item} for item in items])
        return [None] * len(items)

    await records.write(store, 7)

    assert await records.read(lambda c: c.scalar(text("SELECT id FROM things"))) == 7
    await records.close()
    with pytest.raises(RuntimeError, match="closed"):
        await records.write(store, 8)


async def test_a_write_apart_is_in_nobody_elses_transaction(database_url: str) -> None:
    records = Records(database_url)
    begun: list[Connection] = []
    event.listen(records.engine, "begin", begun.append)

    def answer(_: Connection, items: Sequence[str]) -> Sequence[str]:
        return [item.upper() for item in items]

    shared = await asyncio.gather(records.write(answer, "a"), records.write(answer, "b"))
    in_shared = len(begun)
    apart = await asyncio.gather(
        records.write(answer, "c"), records.write(answer, "d"), records.write_apart(answer, "e")
    )
    await records.close()

    assert [*shared, *apart] == ["A", "B", "C", "D", "E"]
    assert (in_shared, len(begun)) == (1, 3)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY])
def test_a_new_file_that_another_process_is_at_is_waited_for(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    class Busy(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            if "journal_mode" in sql and not tries:
                tries.append(sql)
                error = sqlite3.OperationalError("database is locked")
                error.sqlite_errorcode = code
                raise error
            return super().execute(sql, *arguments)

    monkeypatch.setattr("sqlite3.dbapi2.connect", partial(sqlite3.connect, factory=Busy))
    engine = open_engine(f"sqlite:///{tmp_path}/new.db", connections=1)
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
    engine.dispose()
    assert len(tries) == 1


def test_a_connection_that_outlives_its_pool_is_closed(postgres: Postgres) -> None:
    engine = open_engine(postgres.url, connections=1)
    connection = engine.connect()
    driver = connection.connection.dbapi_connection
    engine.dispose()
    connection.close()
    assert isinstance(driver, psycopg.Connection)
    assert driver.closed
    with engine.connect() as another:
        kept = another.connection.dbapi_connection
    with engine.connect() as another:
        assert another.connection.dbapi_connection is kept
    engine.dispose()
