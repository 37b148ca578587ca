"""Migrations are made for a ledger that is large and in use: the last release goes on working meanwhile."""

import io
from types import ModuleType

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from migration_rules import complaints

from waybill_ledger.migrations.migrate import FIRST_RELEASE, configuration


def after_the_first_release() -> list[Script]:
    scripts = ScriptDirectory.from_config(configuration())
    return list(scripts.walk_revisions(FIRST_RELEASE, "heads"))[:-1]


def sql_of(script: Script) -> str:
    written = io.StringIO()
    config: Config = configuration()
    config.output_buffer = written
    try:
        command.upgrade(config, f"{script.down_revision}:{script.revision}", sql=True)
    except (AttributeError, TypeError) as error:
        # There is no connection then: `op.get_bind()` is None.
        raise AssertionError(
            f"{script.path} reads rows, so that it cannot be told what it does to a large ledger: have the "
            "code that runs do it, in small steps"
        ) from error
    return written.getvalue()


def test_no_migration_holds_up_or_breaks_what_works_meanwhile() -> None:
    wrong = {}
    for script in after_the_first_release():
        module: ModuleType = script.module
        found = complaints(sql_of(script), may_remove=hasattr(module, "UNUSED_SINCE"))
        if found:
            wrong[script.path] = found

    text = "\n".join(f"{path}\n  " + "\n  ".join(found) for path, found in wrong.items())
    assert not wrong, f"see 'A column of the ledger' in CONTRIBUTING.md\n{text}"


def test_what_is_said_to_be_unused_has_been_so_since_an_earlier_revision() -> None:
    known = {script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()}
    for script in after_the_first_release():
        since = getattr(script.module, "UNUSED_SINCE", None)
        if since is not None:
            assert since in known
            assert since < script.revision


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("CREATE INDEX tasks_by_x ON tasks (x)", "until the index is built"),
        ("CREATE UNIQUE INDEX tasks_by_x ON tasks (x)", "until the index is built"),
        ("DROP INDEX tasks_by_state", "use waybill_ledger.migrations.live_changes.drop_index"),
        ("ALTER TABLE tasks ADD COLUMN x INTEGER NOT NULL", "fails on rows that are there"),
        ("ALTER TABLE tasks ADD COLUMN x UUID DEFAULT gen_random_uuid()", "must be a constant"),
        ("ALTER TABLE tasks ADD COLUMN x BIGSERIAL", "add the column alone"),
        ("ALTER TABLE subtasks ADD COLUMN x INTEGER REFERENCES tasks (id)", "add the column alone"),
        ("ALTER TABLE tasks ADD CONSTRAINT c CHECK (x > 0)", "NOT VALID"),
        ("ALTER TABLE tasks ADD UNIQUE (x)", "NOT VALID"),
        ("ALTER TABLE tasks ALTER COLUMN x SET NOT NULL", "add another column"),
        ("ALTER TABLE tasks ALTER COLUMN x TYPE BIGINT", "add another column"),
        ("UPDATE subtasks SET x = 1", "in small steps"),
        ("DELETE FROM timeline", "in small steps"),
        ("ALTER TABLE tasks DROP COLUMN x", "a release later"),
        ("ALTER TABLE schedules RENAME COLUMN x TO y", "a release later"),
        ("DROP TABLE schedules", "a release later"),
    ],
)
def test_a_migration_that_would_is_refused_with_the_way_out(sql: str, why: str) -> None:
    (found,) = complaints(f"-- Running upgrade\n\n{sql};\n\nCOMMIT;")

    assert why in found


@pytest.mark.parametrize(
    "beside",
    [
        "ALTER TABLE tasks ADD COLUMN x INTEGER",
        "CREATE TABLE new (x INTEGER)",
        "UPDATE schedules SET paused = true",
    ],
)
@pytest.mark.parametrize(
    "index",
    ["CREATE UNIQUE INDEX CONCURRENTLY tasks_by_x ON tasks (x)", "DROP INDEX CONCURRENTLY tasks_by_x"],
)
def test_a_migration_that_could_be_cut_off_in_its_middle_is_refused(beside: str, index: str) -> None:
    (found,) = complaints(
        f"BEGIN;\n\n-- Running upgrade\n\n{beside};\n\nCOMMIT;\n\nSET lock_timeout = 0;\n\n{index};\n\n"
        "RESET lock_timeout;\n\nBEGIN;\n\nUPDATE alembic_version SET version_num='0010';\n\nCOMMIT;"
    )

    assert "a migration of their own" in found
    assert beside in found


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX CONCURRENTLY tasks_by_x ON tasks (x)",
        "SET lock_timeout = 0; CREATE INDEX CONCURRENTLY tasks_by_x ON tasks (x); RESET lock_timeout",
        "COMMIT; DROP INDEX CONCURRENTLY x; BEGIN; UPDATE alembic_version SET version_num='0010'",
        "DROP INDEX CONCURRENTLY IF EXISTS tasks_by_x",
        "ALTER TABLE tasks ADD COLUMN x INTEGER",
        "ALTER TABLE tasks ADD COLUMN x BOOLEAN DEFAULT false NOT NULL",
        "ALTER TABLE tasks ADD COLUMN x VARCHAR(36) DEFAULT 'default' NOT NULL",
        "ALTER TABLE tasks ADD CONSTRAINT c CHECK (x > 0) NOT VALID",
        "CREATE TABLE new (x INTEGER); CREATE INDEX new_by_x ON new (x); INSERT INTO new VALUES (1)",
        "UPDATE schedules SET paused = true",
        "UPDATE alembic_version SET version_num='0010'",
    ],
)
def test_a_migration_that_would_not_is_let_through(sql: str) -> None:
    assert complaints(sql) == []


def test_what_no_release_uses_any_more_may_be_taken_away() -> None:
    assert complaints("ALTER TABLE tasks DROP COLUMN x", may_remove=True) == []
