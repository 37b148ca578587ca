from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, insert, select, text

from waybill_database import Instant, insert_adding, insert_new, open_engine

METADATA = MetaData()
MOMENTS = Table("moments", METADATA, Column("id", Integer, primary_key=True), Column("at", Instant))
NAMES = Table("names", METADATA, Column("name", String(40), primary_key=True), Column("owner", Integer))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url, connections=2)
    METADATA.create_all(engine)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    "at",
    [
        None,
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 8, 1, 12, 30, 15, 123_457, tzinfo=UTC),
        datetime(2026, 8, 1, 12, 30, tzinfo=timezone(timedelta(hours=-7))),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
)
def test_an_instant_comes_back_to_the_microsecond_and_in_utc(engine: Engine, at: datetime | None) -> None:
    with engine.begin() as connection:
        connection.execute(insert(MOMENTS), {"id": 1, "at": at})
        back = connection.scalar(select(MOMENTS.c.at))

    assert back == at
    assert back is None or back.tzinfo is UTC


def test_instants_are_compared_in_the_database(engine: Engine) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    steps = [noon + timedelta(microseconds=n) for n in (-1, 0, 1)]
    with engine.begin() as connection:
        connection.execute(insert(MOMENTS), [{"id": n, "at": at} for n, at in enumerate(steps)])
        found = connection.scalars(select(MOMENTS.c.at).where(MOMENTS.c.at >= noon).order_by(MOMENTS.c.at))
        stored = connection.scalar(text("SELECT at FROM moments WHERE id = 1"))

        assert list(found) == steps[1:]
    assert stored == 1_767_268_800_000_000


def test_a_time_without_zone_is_refused(engine: Engine) -> None:
    with engine.begin() as connection, pytest.raises(Exception, match="offset-naive and offset-aware"):
        connection.execute(insert(MOMENTS), {"id": 1, "at": datetime(2026, 1, 1)})  # noqa: DTZ001 - refused


def test_insert_new_tells_which_rows_were_new_even_among_thousands(engine: Engine) -> None:
    rows = [{"name": f"n{n}", "owner": n} for n in range(3000)]
    with engine.begin() as connection:
        connection.execute(insert(NAMES), [{"name": f"n{n}", "owner": -1} for n in range(0, 3000, 2)])
        new = set(connection.scalars(insert_new(connection, NAMES, NAMES.c.owner), rows))
        old = connection.scalar(select(NAMES.c.owner).where(NAMES.c.name == "n2"))

    assert new == set(range(1, 3000, 2))
    assert old == -1


def test_counts_are_added_to_those_that_are_there(engine: Engine) -> None:
    with engine.begin() as connection:
        for counts in ([("ann", 1), ("bob", 2)], [("bob", 3)]):
            rows = [{"name": name, "owner": number} for name, number in counts]
            connection.execute(insert_adding(connection, NAMES.c.owner), rows)
        found = connection.execute(select(NAMES))
        assert {row.name: row.owner for row in found} == {"ann": 1, "bob": 5}
        assert insert_adding(connection, NAMES.c.owner) is insert_adding(connection, NAMES.c.owner)
