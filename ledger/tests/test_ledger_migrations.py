import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, text

from database import open_engine
from devstack.samples import new_task
from ledger import SchemaError, Submission, accept, get_task, require_current, upgrade
from ledger.schema import METADATA


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url, connections=2)
    yield engine
    engine.dispose()


def test_the_migrations_make_what_the_code_says(database_url: str, engine: Engine) -> None:
    upgrade(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, METADATA) == []


def test_upgrading_again_changes_nothing(database_url: str, engine: Engine) -> None:
    first = upgrade(database_url)
    task = new_task()
    with engine.begin() as connection:
        accept(connection, [Submission(task)])
    second = upgrade(database_url)
    with engine.begin() as connection:
        assert get_task(connection, task.id) is not None
    assert first == second
    require_current(engine)


def test_two_upgrades_at_once(database_url: str, engine: Engine) -> None:
    together = threading.Barrier(2)

    def run(_: int) -> str:
        together.wait()
        return upgrade(database_url)

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(run, range(2)))) == 1
    require_current(engine)


def test_a_ledger_without_schema_is_refused_with_the_way_out(engine: Engine) -> None:
    with pytest.raises(SchemaError, match=r"at nothing, .* run `python -m ledger upgrade`"):
        require_current(engine)


def test_a_ledger_of_a_newer_release_is_refused_with_the_way_out(database_url: str, engine: Engine) -> None:
    upgrade(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(SchemaError, match="at 9999, which this release does not know"):
        require_current(engine)
    with pytest.raises(SchemaError, match="at 9999, which this release does not know"):
        upgrade(database_url)


def test_the_command_line_upgrades(database_url: str, engine: Engine) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "ledger", "upgrade"],
        env=os.environ | {"WAYBILL_LEDGER_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stdout) == (0, "the ledger is at revision 0002\n")
    require_current(engine)


def test_the_command_line_asks_for_the_ledger() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "WAYBILL_LEDGER_URL"}
    ran = subprocess.run(
        [sys.executable, "-m", "ledger", "upgrade"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 2
    assert "say where the ledger is: --url or WAYBILL_LEDGER_URL" in ran.stderr
