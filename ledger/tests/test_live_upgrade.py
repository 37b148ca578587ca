"""A large ledger is upgraded while the first release goes on working with it, and nobody waits for long."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep

import pytest
from first_release import FirstRelease, fill
from sqlalchemy import Engine, inspect, text

from waybill_database import open_engine
from waybill_ledger import SchemaError
from waybill_ledger.migrations import migrate
from waybill_ledger.migrations.migrate import FIRST_RELEASE, upgrade
from waybill_ledger.schema import version as schema_version
from waybill_testkit.postgres.private import Postgres

TASKS = 20_000
#: For how long a condition is waited for: far above what it takes.
PATIENCE_SECONDS = 60.0
#: In this database: the server is shared by all tests.
UPGRADES_THAT_WAIT = (
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
#: A next release, as one would write it: a column, and an index of it on a large table.
NEXT_RELEASE = """
import sqlalchemy as sa
from alembic import op
from waybill_ledger.migrations.live_changes import create_index, drop_index

revision = "9000"
down_revision = "{head}"

def upgrade() -> None:
    op.add_column("tasks", sa.Column("colour", sa.String(16), server_default="red", nullable=False))
"""
ITS_INDEX = """
from waybill_ledger.migrations.live_changes import create_index, drop_index

revision = "9001"
down_revision = "9000"

def upgrade() -> None:
    create_index("tasks_by_colour", "tasks", ["colour", "id"], where="colour <> 'red'")
    create_index("timeline_by_time", "timeline", ["at", "seq"])
    drop_index("tasks_by_nothing", "tasks")
"""


def within_patience() -> Iterator[None]:
    """Goes on until its user breaks off, but not without end."""
    deadline = monotonic() + PATIENCE_SECONDS
    while monotonic() < deadline:
        yield
        sleep(0.01)
    raise AssertionError(f"not true within {PATIENCE_SECONDS:g} s")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url, connections=8)
    yield engine
    engine.dispose()


@pytest.fixture
def next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever upgrades has a migration more than there is."""
    folder = tmp_path / "migrations"
    shutil.copytree(schema_version.SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    head = max(path.stem[:4] for path in (folder / "versions").glob("0*.py"))
    (folder / "versions" / "9000_next.py").write_text(NEXT_RELEASE.format(head=head))
    (folder / "versions" / "9001_index.py").write_text(ITS_INDEX)
    for module in (migrate, schema_version):
        monkeypatch.setattr(module, "SCRIPTS", folder)


@pytest.mark.usefixtures("next_release")
def test_the_first_release_goes_on_while_two_upgrade_a_large_ledger(
    database_url: str, engine: Engine
) -> None:
    upgrade(database_url, FIRST_RELEASE)
    fill(engine, TASKS)
    first = FirstRelease(engine)
    with first.running(), ThreadPoolExecutor(2) as pool:
        assert list(pool.map(upgrade, [database_url] * 2)) == ["9001"] * 2
        before = len(first.accepted), len(first.completed)
        for _ in within_patience():
            assert not first.errors, first.errors
            if len(first.accepted) >= before[0] + 50 and len(first.completed) >= before[1] + 50:
                break

    assert not first.errors
    if engine.dialect.name == "postgresql":
        # It waits behind a migration for the lock that this waits for; on SQLite behind the whole upgrade,
        # which takes as long as the machine takes.
        assert first.longest_wait < 5 * migrate.LOCK_SECONDS
    assert first.read > 0
    with engine.connect() as connection:
        count = connection.scalar(text("SELECT count(*) FROM tasks WHERE colour = 'red'"))
        assert count == TASKS + len(first.accepted)
        done = connection.scalar(text("SELECT count(*) FROM tasks WHERE state = 'completed'"))
        assert done == TASKS // 2 + len(set(first.completed))
        there = {
            index["name"]
            for table in ("tasks", "timeline")
            for index in inspect(connection).get_indexes(table)
        }
        assert {"tasks_by_colour", "timeline_by_time"} <= there
        if connection.dialect.name == "postgresql":
            assert connection.scalar(text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")) == 0


@pytest.fixture
def ledger_in_use(postgres: Postgres) -> Iterator[tuple[str, Engine]]:
    """A ledger at a revision before one that changes the table of tasks."""
    with postgres.database() as url:
        upgrade(url, "0007")
        engine = open_engine(url, connections=3)
        yield url, engine
        engine.dispose()


def test_a_migration_that_waits_for_a_lock_lets_others_pass(ledger_in_use: tuple[str, Engine]) -> None:
    url, engine = ledger_in_use
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as slow:
            slow.execute(text("SELECT count(*) FROM tasks"))
            upgrading = pool.submit(upgrade, url)
            waits = text(UPGRADES_THAT_WAIT)
            with engine.connect() as connection:
                for _ in within_patience():
                    if connection.scalar(waits):
                        break
                    assert not upgrading.done(), upgrading.exception()
                    connection.rollback()
            # It stands behind the migration, and is let through when that gives up for now.
            with engine.begin() as reader:
                reader.execute(text("SELECT count(*) FROM tasks"))
            assert not upgrading.done()
        assert upgrading.result(60) > "0008"


@pytest.mark.usefixtures("next_release")
def test_a_migration_that_comes_after_an_index_lets_others_pass_too(
    ledger_in_use: tuple[str, Engine],
) -> None:
    url, engine = ledger_in_use
    upgrade(url, "0014")
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as slow:
            # The index of 0015 does not wait for that, but the column of the next release does.
            slow.execute(text("SELECT count(*) FROM tasks"))
            upgrading = pool.submit(upgrade, url)
            waits = text(UPGRADES_THAT_WAIT)
            with engine.connect() as connection:
                while not connection.scalar(waits):
                    connection.rollback()
            with engine.begin() as reader:
                reader.execute(text(f"SET LOCAL lock_timeout = '{10 * migrate.LOCK_SECONDS}s'"))
                reader.execute(text("SELECT count(*) FROM tasks"))
            assert not upgrading.done()
        assert upgrading.result(60) == "9001"


def test_an_upgrade_gives_up_on_a_table_that_is_never_free_and_says_why(
    ledger_in_use: tuple[str, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, engine = ledger_in_use
    monkeypatch.setattr(migrate, "UPGRADE_TIMEOUT_SECONDS", 0)
    with engine.begin() as slow:
        slow.execute(text("SELECT count(*) FROM tasks"))
        with pytest.raises(SchemaError, match="transactions that stay open"):
            upgrade(url)
    assert upgrade(url) > "0008"


@pytest.mark.usefixtures("next_release")
def test_an_index_whose_making_was_cut_off_is_made_again(postgres: Postgres) -> None:
    with postgres.database() as url:
        upgrade(url, "9000")
        engine = open_engine(url, connections=2)
        begun, ended = threading.Event(), threading.Event()

        def hold() -> None:
            # It keeps what it sees, and an index is not complete before that is of the past.
            with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
                connection.scalar(text("SELECT count(*) FROM tasks"))
                begun.set()
                ended.wait(60)

        with ThreadPoolExecutor(2) as pool:
            holding = pool.submit(hold)
            begun.wait(60)
            # It waits for the transaction that holds on, and is ended meanwhile.
            upgrading = pool.submit(upgrade, url)
            with engine.connect() as connection:
                end = text(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = "
                    "current_database() AND query LIKE 'CREATE INDEX%' AND wait_event = 'virtualxid'"
                )
                for _ in within_patience():
                    if connection.scalar(end):
                        break
                    assert not upgrading.done(), upgrading.exception()
                    connection.rollback()
                assert upgrading.exception(60) is not None
                invalid = text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
                assert connection.scalar(invalid) == 1
            ended.set()
            holding.result(60)
        assert upgrade(url) == "9001"
        with engine.connect() as connection:
            assert connection.scalar(invalid) == 0
        engine.dispose()
