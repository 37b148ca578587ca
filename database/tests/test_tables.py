from collections.abc import Iterator

import pytest
from sqlalchemy import Boolean, Column, Engine, Integer, MetaData, String, Table, false, insert, select

from waybill_database import make_tables, open_engine

NOW = MetaData()
WORK = Table(
    "work",
    NOW,
    Column("id", Integer, primary_key=True),
    Column("name", String(40)),
    Column("tries", Integer, nullable=False, server_default="1"),
    Column("done", Boolean, nullable=False, server_default=false()),
)
EARLIER = MetaData()
WORK_BEFORE = Table("work", EARLIER, Column("id", Integer, primary_key=True))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url, connections=2)
    yield engine
    engine.dispose()


def test_a_table_of_an_earlier_release_grows_and_keeps_its_rows(engine: Engine) -> None:
    with engine.begin() as connection:
        make_tables(connection, EARLIER)
        connection.execute(insert(WORK_BEFORE), {"id": 7})
    for _ in range(2):
        with engine.begin() as connection:
            make_tables(connection, NOW)
    with engine.begin() as connection:
        assert connection.execute(select(WORK)).all() == [(7, None, 1, False)]


def test_a_newer_table_serves_an_earlier_release(engine: Engine) -> None:
    with engine.begin() as connection:
        make_tables(connection, NOW)
        make_tables(connection, EARLIER)
        connection.execute(insert(WORK_BEFORE), {"id": 7})
        assert connection.execute(select(WORK)).all() == [(7, None, 1, False)]
