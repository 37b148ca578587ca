import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    event,
    func,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError, OperationalError

from waybill_database import GroupCommit, open_engine
from waybill_database.group_commit import MAX_BATCH

METADATA = MetaData()
THINGS = Table(
    "things",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("name", String(40), nullable=False, unique=True),
)


class Commits:
    """Counts the transactions of an engine that were committed."""

    def __init__(self, engine: Engine) -> None:
        self.count = 0
        event.listen(engine, "commit", self._count)

    def _count(self, _connection: Connection) -> None:
        self.count += 1


class Gate:
    """A write that holds up the writer's thread until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def write(self, _connection: Connection, items: Sequence[object]) -> Sequence[object]:
        self.reached.set()
        assert self.opened.wait(30)
        return items


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url, connections=2)
    METADATA.create_all(engine)
    yield engine
    engine.dispose()


def store(connection: Connection, names: Sequence[str]) -> Sequence[str]:
    connection.execute(insert(THINGS), [{"name": name} for name in names])
    return [name.upper() for name in names]


def stored(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(select(THINGS.c.name).order_by(THINGS.c.seq)))


async def test_many_writes_share_commits_and_each_gets_its_own_answer(engine: Engine) -> None:
    commits = Commits(engine)
    group = GroupCommit(engine)
    names = [f"n{n:03}" for n in range(200)]

    answers = await asyncio.gather(*(group.submit(store, name) for name in names))
    await group.close()

    assert answers == [name.upper() for name in names]
    assert stored(engine) == names
    # All of them were submitted before the writer's task had its first turn.
    assert commits.count == 1


async def test_writes_that_come_during_a_commit_share_the_next(engine: Engine) -> None:
    commits = Commits(engine)
    group, gate = GroupCommit(engine), Gate()
    first = asyncio.create_task(group.submit(gate.write, None))
    await asyncio.to_thread(gate.reached.wait)
    rest = [asyncio.create_task(group.submit(store, f"n{n}")) for n in range(50)]
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(first, *rest)
    await group.close()

    assert commits.count == 2


async def test_a_transaction_has_no_more_than_its_share(engine: Engine) -> None:
    commits = Commits(engine)
    group = GroupCommit(engine)
    await asyncio.gather(*(group.submit(store, f"n{n}") for n in range(MAX_BATCH + 1)))
    await group.close()

    assert commits.count == 2


async def test_it_is_committed_when_the_answer_comes(engine: Engine) -> None:
    group = GroupCommit(engine)
    await group.submit(store, "a")

    assert stored(engine) == ["a"]
    await group.close()


async def test_one_bad_item_fails_alone(engine: Engine) -> None:
    group = GroupCommit(engine)
    await group.submit(store, "taken")
    answers = await asyncio.gather(
        *(group.submit(store, name) for name in ("a", "taken", "b")), return_exceptions=True
    )
    await group.close()

    assert [type(answer) for answer in answers] == [str, IntegrityError, str]
    assert stored(engine) == ["taken", "a", "b"]


async def test_a_write_that_raises_in_the_middle_leaves_nothing(engine: Engine) -> None:
    def half(connection: Connection, names: Sequence[str]) -> Sequence[str]:
        store(connection, names)
        raise LookupError

    group = GroupCommit(engine)
    with pytest.raises(LookupError):
        await group.submit(half, "a")
    await group.close()

    assert stored(engine) == []


async def test_a_wrong_number_of_answers_commits_nothing(engine: Engine) -> None:
    def forgetful(connection: Connection, names: Sequence[str]) -> Sequence[str]:
        return store(connection, names)[1:]

    group = GroupCommit(engine)
    with pytest.raises(ValueError, match="zip"):
        await group.submit(forgetful, "a")
    await group.close()

    assert stored(engine) == []


async def test_a_caller_who_left_harms_nobody_and_its_item_is_kept(engine: Engine) -> None:
    group, gate = GroupCommit(engine), Gate()
    first = asyncio.create_task(group.submit(gate.write, None))
    await asyncio.to_thread(gate.reached.wait)
    leaving, staying = (asyncio.create_task(group.submit(store, name)) for name in ("gone", "here"))
    await asyncio.sleep(0)
    leaving.cancel()
    gate.opened.set()

    assert await staying == "HERE"
    await first
    await group.close()
    assert leaving.cancelled()
    assert stored(engine) == ["gone", "here"]


async def test_close_commits_what_waits_and_refuses_what_comes_after(engine: Engine) -> None:
    group, gate = GroupCommit(engine), Gate()
    first = asyncio.create_task(group.submit(gate.write, None))
    await asyncio.to_thread(gate.reached.wait)
    waiting = asyncio.create_task(group.submit(store, "a"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(group.close())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="closed"):
        await group.submit(store, "late")
    gate.opened.set()
    await asyncio.gather(first, closing)

    assert await waiting == "A"
    assert stored(engine) == ["a"]


async def test_a_closer_that_gives_up_loses_no_write(engine: Engine) -> None:
    group, gate = GroupCommit(engine), Gate()
    first = asyncio.create_task(group.submit(gate.write, "first"))
    await asyncio.to_thread(gate.reached.wait)
    closing = asyncio.create_task(group.close())
    await asyncio.sleep(0)
    closing.cancel()
    gate.opened.set()

    assert await first == "first"
    await group.close()


async def test_two_sorts_of_write_share_a_transaction(engine: Engine) -> None:
    def count(connection: Connection, items: Sequence[None]) -> Sequence[int]:
        number = connection.scalar(select(func.count()).select_from(THINGS)) or 0
        return [number] * len(items)

    group = GroupCommit(engine)
    first, number, second = await asyncio.gather(
        group.submit(store, "a"), group.submit(count, None), group.submit(store, "b")
    )
    await group.close()

    assert (first, number, second) == ("A", 2, "B")


async def test_a_database_that_is_away_is_asked_once_for_all() -> None:
    engine = open_engine("postgresql://nobody@127.0.0.1:1/none", connections=1)
    asked: list[object] = []
    event.listen(engine, "handle_error", asked.append)
    group = GroupCommit(engine)

    answers = await asyncio.gather(*(group.submit(store, f"n{n}") for n in range(20)), return_exceptions=True)
    await group.close()
    engine.dispose()

    assert all(isinstance(answer, OperationalError) for answer in answers)
    assert len(asked) == 1


async def test_a_locked_sqlite_is_waited_for_once_for_all(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("only SQLite has one lock for all")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")  # of the pool's one connection at rest
    tried: list[Connection] = []
    event.listen(engine, "engine_connect", tried.append)
    group = GroupCommit(engine)
    other = open_engine(str(engine.url), connections=1)
    with other.begin():
        answers = await asyncio.gather(
            *(group.submit(store, f"n{n}") for n in range(20)), return_exceptions=True
        )
    other.dispose()

    assert all(isinstance(answer, OperationalError) for answer in answers)
    assert len(tried) == 1
    assert await group.submit(store, "a") == "A"
    await group.close()


async def test_it_works_again_when_postgresql_has_thrown_it_out(engine: Engine) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no server")
    group = GroupCommit(engine)
    await group.submit(store, "a")
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    assert await group.submit(store, "b") == "B"
    await group.close()


async def test_a_patient_write_shares_the_commit_of_the_next_that_is_in_a_hurry(engine: Engine) -> None:
    commits = Commits(engine)
    group = GroupCommit(engine)
    patient = asyncio.create_task(group.submit(store, "patient", patience=3600))
    await asyncio.sleep(0)
    hurried = asyncio.create_task(group.submit(store, "hurried"))

    assert (await patient, await hurried) == ("PATIENT", "HURRIED")
    await group.close()
    assert commits.count == 1


async def test_a_patient_write_goes_alone_when_nobody_else_comes(engine: Engine) -> None:
    group = GroupCommit(engine)

    assert await group.submit(store, "a", patience=0.01) == "A"
    await group.close()


async def test_closing_has_no_patience(engine: Engine) -> None:
    group = GroupCommit(engine)
    patient = asyncio.create_task(group.submit(store, "a", patience=3600))
    await asyncio.sleep(0)
    await group.close()

    assert await patient == "A"


def flushed(connection: Connection) -> bool:
    """Whether the transaction will be on the disk once it is committed."""
    if connection.dialect.name == "sqlite":
        return bool(connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2)
    ours = "SELECT source = 'session' FROM pg_settings WHERE name = 'synchronous_commit'"
    return not bool(connection.exec_driver_sql(ours).scalar_one())


def tell_flushed(connection: Connection, items: Sequence[object]) -> Sequence[bool]:
    return [flushed(connection)] * len(items)


async def test_only_a_commit_of_nothing_but_relaxed_writes_to_a_file_is_not_flushed(engine: Engine) -> None:
    group = GroupCommit(engine)
    # A server may go down while we go on, and would then not know what we still act by.
    is_server = engine.dialect.name == "postgresql"

    assert await group.submit(tell_flushed, None)
    assert await group.submit(tell_flushed, None, relaxed=True) == is_server
    mixed = await asyncio.gather(
        group.submit(tell_flushed, None, relaxed=True), group.submit(tell_flushed, None)
    )
    assert all(mixed)
    assert await group.submit(tell_flushed, None, relaxed=True) == is_server
    assert group.commit(tell_flushed, None)
    assert group.commit(tell_flushed, None, relaxed=True) == is_server
    with engine.begin() as connection:  # the same connection, by another way
        assert flushed(connection)
    await group.close()
