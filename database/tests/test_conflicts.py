"""Two writers that wait for each other: PostgreSQL ends one of them, and it does its work again."""

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, String, Table, insert, select, update
from sqlalchemy.exc import DBAPIError

from waybill_database import GroupCommit, is_conflict, is_unavailable, open_engine
from waybill_testkit.postgres.private import Postgres

METADATA = MetaData()
COUNTS = Table("counts", METADATA, Column("name", String(1), primary_key=True), Column("count", Integer))


@pytest.fixture
def engine(postgres: Postgres) -> Iterator[Engine]:
    with postgres.database() as url:
        engine = open_engine(url, connections=3)
        METADATA.create_all(engine)
        with engine.begin() as connection:
            connection.execute(insert(COUNTS), [{"name": name, "count": 0} for name in "ab"])
        yield engine
        engine.dispose()


def raise_count(connection: Connection, name: str) -> None:
    connection.execute(update(COUNTS).where(COUNTS.c.name == name).values(count=COUNTS.c.count + 1))


class Crossing:
    """A write that counts two rows up, and between them waits for the other writer to have the second one."""

    def __init__(self) -> None:
        self.both_have_one = threading.Barrier(2)
        self.tries = 0

    def write(self, connection: Connection, orders: Sequence[str]) -> Sequence[None]:
        self.tries += 1
        for order in orders:
            raise_count(connection, order[0])
            # Only the first time: whoever tries again meets nobody.
            if self.tries <= self.both_have_one.parties:
                self.both_have_one.wait(30)
            raise_count(connection, order[1])
        return [None] * len(orders)


async def test_of_two_writers_that_wait_for_each_other_both_write_once(engine: Engine) -> None:
    crossing = Crossing()
    commits = [GroupCommit(engine) for _ in range(2)]

    await asyncio.gather(*(c.submit(crossing.write, o) for c, o in zip(commits, ("ab", "ba"), strict=True)))

    for commit in commits:
        await commit.close()
    with engine.connect() as connection:
        assert connection.execute(select(COUNTS.c.count)).scalars().all() == [2, 2]
    # One of them at least was ended, and came again; a slow server may end both.
    assert crossing.tries > 2


async def test_a_writer_for_whom_there_is_never_room_is_told_so(engine: Engine) -> None:
    tries = 0

    def write(connection: Connection, _items: Sequence[None]) -> Sequence[None]:
        nonlocal tries
        tries += 1
        connection.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")
        return [None]

    commit = GroupCommit(engine)
    with pytest.raises(DBAPIError) as raised:
        await commit.submit(write, None)
    await commit.close()

    assert is_conflict(raised.value)
    assert not is_unavailable(raised.value)
    assert tries == 5
