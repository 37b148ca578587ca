"""What wakes a relay that has nothing to do."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest
from shop import METADATA, OUTBOX, record
from sqlalchemy import Engine, create_engine, make_url, select

from waybill import outbox
from waybill.outbox.relay.database import open_database, parse_database
from waybill.outbox.relay.wakers import LOOK_SECONDS, NotifyWaker, waker_of
from waybill_testkit.postgres import Postgres

STOP = Event()


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.database() as made:
        yield made


@pytest.fixture
def shop(url: str) -> Iterator[Engine]:
    """An application's database."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    METADATA.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def waking(url: str, shop: Engine) -> Iterator[Callable[[], NotifyWaker]]:
    """Makes wakers of relays."""
    assert shop.url.database, "its tables exist"
    made: list[NotifyWaker] = []

    def new() -> NotifyWaker:
        made.append(NotifyWaker(lambda: psycopg.connect(url, autocommit=True)))
        return made[-1]

    yield new
    for waker in made:
        waker.close()


def seconds_of(waker: NotifyWaker) -> float:
    """How long it waits."""
    begun = time.monotonic()
    waker.mark()
    waker.wait(STOP)
    return time.monotonic() - begun


def is_notified(url: str) -> bool:
    """Whether a submission notifies now."""
    with psycopg.connect(url, autocommit=True) as listening, psycopg.connect(url) as writing:
        listening.execute("LISTEN waybill_outbox")
        outbox.submit(writing, record(1))
        writing.commit()
        return bool(list(listening.notifies(timeout=0.2, stop_after=1)))


def test_a_relay_that_waits_is_notified_and_one_that_works_is_not(
    url: str, shop: Engine, waking: Callable[[], NotifyWaker]
) -> None:
    waker = waking()
    waker.mark()
    assert not is_notified(url)
    assert seconds_of(waker) < LOOK_SECONDS / 2, "a look at what was committed before"
    assert is_notified(url)
    assert seconds_of(waker) < LOOK_SECONDS / 2
    assert not is_notified(url), "it works"
    assert seconds_of(waker) < LOOK_SECONDS / 2
    assert is_notified(url), "it waits again"
    with shop.connect() as connection:
        assert len(connection.execute(select(OUTBOX)).all()) == 4


def test_it_does_not_begin_to_wait_while_a_transaction_may_commit_without_a_word(
    url: str, shop: Engine, waking: Callable[[], NotifyWaker]
) -> None:
    waker = waking()
    with shop.begin() as connection:
        outbox.submit(connection, record(1))
        for _ in range(3):
            assert seconds_of(waker) < LOOK_SECONDS / 2, "it looks often"
    seconds_of(waker)
    assert is_notified(url)


def test_of_two_relays_that_wait_both_are_notified_and_the_second_takes_over(
    url: str, waking: Callable[[], NotifyWaker]
) -> None:
    first, second = waking(), waking()
    seconds_of(first)
    assert seconds_of(second) >= LOOK_SECONDS * 0.9, "the first one has the lock"
    assert is_notified(url)
    assert seconds_of(second) < LOOK_SECONDS / 2
    first.close()
    # PostgreSQL takes a moment to notice that the first one is gone.
    deadline = time.monotonic() + 30
    seconds_of(second)
    while not is_notified(url):
        assert time.monotonic() < deadline, "nobody took over"
        seconds_of(second)


def test_a_connection_that_cannot_listen_is_closed(url: str) -> None:
    made: list[psycopg.Connection[Any]] = []

    def broken() -> psycopg.Connection[Any]:
        connection = psycopg.connect(url)
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT 1 / 0")
        made.append(connection)
        return connection

    waker = NotifyWaker(broken)
    assert seconds_of(waker) < LOOK_SECONDS / 2
    assert [connection.closed for connection in made] == [True]


def test_a_file_of_sqlite_is_awaited_and_not_made(tmp_path: Path) -> None:
    file = tmp_path / "later.db"
    url = parse_database(f"sqlite:///{file}")
    engine = open_database(url)
    waker = waker_of(engine, url)
    waker.mark()
    waker.wait(STOP)
    assert not file.exists()
    waker.close()
    engine.dispose()
