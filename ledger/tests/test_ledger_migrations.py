import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from waybill_database import open_engine
from waybill_ledger import SchemaError, Submission, accept, get_task, require_current
from waybill_ledger.__main__ import main
from waybill_ledger.migrations.migrate import configuration, upgrade
from waybill_ledger.schema.tables import METADATA
from waybill_ledger.schema.version import revisions
from waybill_testkit.samples import new_task


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


def test_the_revisions_are_told_by_their_files_names() -> None:
    known = ScriptDirectory.from_config(configuration()).walk_revisions()
    assert revisions() == tuple(script.revision for script in known)[::-1]


def test_who_only_works_on_a_ledger_does_without_alembic() -> None:
    modules = "waybill_gateway.process, waybill_status.app, waybill_deadletters.app"
    program = f"import sys, {modules}; print('alembic' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ran.stdout == "False\n"


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


def test_what_is_under_way_in_an_older_ledger_is_expected_from_its_last_change(
    database_url: str, engine: Engine
) -> None:
    states = ("scheduled", "pending", "running", "retrying", "completed", "failed", "cancelled")
    upgrade(database_url, "0001")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO tasks (id, kind, state, created_at, correlation_id, about, dataschema) "
                "VALUES ('t', 'k', 'running', 1, 'c', 'a', 'd')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO subtasks (task_id, service, state, position, redrive_no, attempt, "
                "next_attempt_at, updated_at) VALUES ('t', :state, :state, 0, 0, 0, 7, 5)"
            ),
            [{"state": state} for state in states],
        )
    upgrade(database_url)
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT state, expected_at, reconciled FROM subtasks"))
        expected = {row.state: (row.expected_at, row.reconciled) for row in rows}

    assert expected == {
        "scheduled": (7, 0),
        "pending": (5, 0),
        "running": (5, 0),
        "retrying": (7, 0),
        "completed": (None, 0),
        "failed": (None, 0),
        "cancelled": (None, 0),
    }


def test_how_far_a_subtask_of_an_older_ledger_has_come_stays_true(database_url: str, engine: Engine) -> None:
    # As revision 0003 packed them: redrive, outcome, attempt, step.
    reached = {
        "new": (0, (0, 0, 0, 0)),
        "running": (1 << 4 | 1, (0, 0, 1, 1)),
        "retrying": (1_000_000 << 4 | 2, (0, 0, 1_000_000, 2)),
        "completed": (3 << 36 | 7 << 4, (0, 3, 7, 0)),
        "redriven": (1_000_000 << 40 | 1 << 36 | 6 << 4, (1_000_000, 1, 6, 0)),
    }
    upgrade(database_url, "0003")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO tasks (id, kind, state, created_at, correlation_id, about, dataschema) "
                "VALUES ('t', 'k', 'running', 1, 'c', 'a', 'd')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO subtasks (task_id, service, state, position, redrive_no, attempt, updated_at) "
                "VALUES ('t', :service, 'running', :position, 0, 0, 5)"
            ),
            [{"service": name, "position": old} for name, (old, _) in reached.items()],
        )
        connection.execute(
            text(
                "INSERT INTO timeline (task_id, service, redrive_no, attempt, type, at) "
                "VALUES ('t', 'email', 0, 1, 'task.started', 5)"
            )
        )
    upgrade(database_url)
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT service, position FROM subtasks"))
        positions = {row.service: row.position for row in rows}
        told = connection.execute(text("SELECT attempt, snooze_no, type FROM timeline")).all()

    assert positions == {
        name: redrive << 40 | outcome << 36 | attempt << 16 | step
        for name, (_, (redrive, outcome, attempt, step)) in reached.items()
    }
    assert told == [(1, 0, "task.started")]


def test_two_upgrades_at_once(database_url: str, engine: Engine) -> None:
    together = threading.Barrier(2)

    def run(_: int) -> str:
        together.wait()
        return upgrade(database_url)

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(run, range(2)))) == 1
    require_current(engine)


def test_a_ledger_without_schema_is_refused_with_the_way_out(engine: Engine) -> None:
    with pytest.raises(SchemaError, match=r"at nothing, .* run `python -m waybill_ledger upgrade`"):
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
        [sys.executable, "-m", "waybill_ledger", "upgrade"],
        env=os.environ | {"WAYBILL_LEDGER_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stdout) == (0, f"the ledger is at revision {upgrade(database_url)}\n")
    require_current(engine)


def test_the_command_line_says_why_it_cannot_upgrade(database_url: str, engine: Engine) -> None:
    upgrade(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    ran = ledger("upgrade", "--url", database_url)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("upgrade: the ledger's schema is at 9999, which this release does not know")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--tenant", "Acme", "small letters"),
        ("--tenant", "acme\n", "small letters"),
        ("--tenant", "a\x1fb", "small letters"),
        ("--name", "", "printable ASCII"),
        ("--name", "x" * 65, "printable ASCII"),
        ("--name", "shop\n", "printable ASCII"),
    ],
)
def test_the_command_line_makes_no_key_that_the_api_would_not(
    option: str,
    value: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    key = ["key", "--url", url, "--name", "shop", "--scope", "read", option, value]
    monkeypatch.setattr(sys, "argv", ["ledger", *key])

    with pytest.raises(SystemExit) as ended:
        main()

    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert f"argument {option}" in said.err
    assert words in said.err
    # It was refused before anybody looked for the ledger.
    assert list(tmp_path.iterdir()) == []


def ledger(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "waybill_ledger", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command_line_asks_for_the_ledger() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "WAYBILL_LEDGER_URL"}
    ran = subprocess.run(
        [sys.executable, "-m", "waybill_ledger", "upgrade"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 2
    assert "say where the ledger is: --url or WAYBILL_LEDGER_URL" in ran.stderr
