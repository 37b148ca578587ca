from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from waybill_database import open_engine, writer
from waybill_database.writer import Writer


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url, connections=2)
    yield engine
    engine.dispose()


@pytest.fixture
def taken(engine: Engine) -> list[Connection]:
    """The connections that were taken from the pool."""
    connections: list[Connection] = []
    event.listen(engine, "engine_connect", connections.append)
    return connections


def use(writer: Writer) -> None:
    with writer.transaction(relaxed=False) as connection:
        assert connection.scalar(text("SELECT 1")) == 1


def test_the_connection_is_kept_for_the_next_transaction(engine: Engine, taken: list[Connection]) -> None:
    writer = Writer(engine)
    use(writer)
    use(writer)
    writer.release()

    assert len(taken) == 1


def test_an_error_rolls_back_and_returns_the_connection(engine: Engine, taken: list[Connection]) -> None:
    writer = Writer(engine)

    def fail() -> None:
        with writer.transaction(relaxed=False) as connection:
            connection.execute(text("CREATE TABLE things (id INTEGER)"))
            connection.execute(text("SELECT * FROM nowhere"))

    with pytest.raises(SQLAlchemyError):
        fail()
    with pytest.raises(SQLAlchemyError), writer.transaction(relaxed=False) as connection:
        connection.execute(text("SELECT * FROM things"))
    use(writer)
    writer.release()

    assert len(taken) == 3


def test_a_connection_in_doubt_is_not_used(engine: Engine, taken: list[Connection]) -> None:
    writer = Writer(engine)
    use(writer)
    writer.doubt()
    use(writer)
    use(writer)
    writer.release()

    assert len(taken) == 2


def test_a_connection_that_was_idle_goes_through_the_pool(
    engine: Engine, taken: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Writer(engine)
    use(kept)
    monkeypatch.setattr(writer, "MOST_IDLE_SECONDS", -1.0)  # any pause is too long
    use(kept)
    kept.release()

    assert len(taken) == 2


def test_other_writers_of_the_file_have_their_turn_between_two_transactions(engine: Engine) -> None:
    one, other = Writer(engine), Writer(engine)
    for each in (one, other, one):
        use(each)
    one.release()
    other.release()
