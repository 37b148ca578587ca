"""No step of each task or periodic check may scan a large table: the databases explain the plans."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from bench.filling import MODEL, fill_inbox, fill_ledger
from bench.growth_steps import LOOK_STEPS, TASK_STEPS, InboxUnderTest, Step, Subject
from waybill_database import open_engine
from waybill_testkit.postgres import Postgres

#: As many as make PostgreSQL prefer an index: smaller tables it reads as a whole.
TASKS = 10 * MODEL
#: Tables that grow with the number of tasks, and so must not be scanned.
LARGE = "tasks|subtasks|timeline|idempotency|inbox|task_files"
#: These hold too few rows here for PostgreSQL to prefer an index; SQLite plans without counting.
LARGE_LATER = "outbox|dead_letters|originals"
#: How SQLite and PostgreSQL describe a scan of a whole table.
SCANS = {
    "sqlite": re.compile(rf"SCAN ({LARGE}|{LARGE_LATER})(?! USING INDEX subtasks_by_expectation)\b"),
    "postgresql": re.compile(rf"Seq Scan on ({LARGE})\b"),
}
IN_ORDER = "SCAN tasks USING INDEX sqlite_autoindex_tasks_1"
#: What SQLite calls a scan and is meant, of these steps alone.
MEANT_SCANS = {
    # Walks along the key that end with the page; of each task it asks whether it is of the service.
    "list: newest": IN_ORDER,
    "list: by service": IN_ORDER,
    "dead letters": "SCAN dead_letters",
    # It counts all that waits.
    "measure (10 hours)": "SCAN outbox",
}
#: By which index a list finds what it is asked for; a walk along the key instead is not always called a scan.
INDEX_OF = {
    "list: by state": "tasks_by_state",
    "list: by state, deep page": "tasks_by_state",
    "list: by kind": "tasks_by_kind",
    "list: by kind and state": "tasks_by_state",
    "list: by schedule": "tasks_by_schedule",
}
#: Those of which only one of the two needs the index.
INDEX_OF_DIALECT = {
    "sqlite": {"list: an hour long ago": "tasks_by_creation"},
    "postgresql": {
        "list: by service": "subtasks_by_service",
        "list: by service, deep page": "subtasks_by_service",
    },
}


@pytest.fixture(scope="module")
def filled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("filled") / "ledger.db"
    fill_ledger(f"sqlite:///{file}", TASKS)
    return file


@pytest.fixture(scope="module")
def filled_database(postgres: Postgres) -> str:
    url = postgres.new_database()
    fill_ledger(url, TASKS)
    return url


@pytest.fixture
def filled_url(database_system: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A large ledger of the test's own: a copy, which is made in no time."""
    if database_system == "sqlite":
        copied = copyfile(request.getfixturevalue("filled_file"), tmp_path / "ledger.db")
        yield f"sqlite:///{copied}"
        return
    filled, server = map(request.getfixturevalue, ("filled_database", "postgres"))
    with server.database(copied_from=filled) as url:
        yield url


@pytest.fixture
def subject(filled_url: str) -> Iterator[Subject]:
    subject = Subject(open_engine(filled_url, connections=1))
    subject.look()
    yield subject
    subject.engine.dispose()


def explained(connection: Connection, statement: str, parameters: Any) -> list[str]:
    explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    return [str(row[-1]) for row in connection.exec_driver_sql(explain + statement, parameters)]


def plans(engine: Engine, work: Callable[[], None]) -> list[tuple[str, list[str]]]:
    """All its statements that look for rows, each with the lines of its plan."""
    seen: list[tuple[str, Any]] = []

    def note(*arguments: Any) -> None:
        _, _, statement, parameters, _, many = arguments
        seen.append((statement, parameters[0] if many and isinstance(parameters, list) else parameters))

    event.listen(engine, "before_cursor_execute", note)
    work()
    event.remove(engine, "before_cursor_execute", note)
    with engine.begin() as connection:
        return [
            (statement, [line.strip() for line in explained(connection, statement, parameters)])
            for statement, parameters in seen
            if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH"))
            and "pg_" not in statement
            and "pragma_" not in statement
        ]


def scans(engine: Engine, work: Callable[[], None], meant: str | None = None) -> list[str]:
    """The lines of all its statements' plans that read a large table as a whole, but for what is meant."""
    return [
        f"{line} in {statement}"
        for statement, lines in plans(engine, work)
        for line in lines
        if SCANS[engine.dialect.name].search(line) and line != meant
    ]


def faults(subject: Subject, name: str, step: Step) -> list[str]:
    """What is wrong with how a step is done."""
    work = partial(run, step, subject)
    dialect = subject.engine.dialect.name
    found = scans(subject.engine, work, MEANT_SCANS.get(name))
    index = (INDEX_OF | INDEX_OF_DIALECT[dialect]).get(name)
    if index is not None:
        lines = [line for _, lines in plans(subject.engine, work) for line in lines]
        if not any(re.search(rf"\b{index}\b", line) for line in lines):
            found.append(f"{index} is not used: {lines}")
    return found


def run(step: Step, subject: Subject) -> None:
    with subject.engine.begin() as connection:
        step(connection, subject)


def test_no_step_of_a_task_and_no_look_reads_a_large_table_as_a_whole(subject: Subject) -> None:
    is_sqlite = subject.engine.dialect.name == "sqlite"
    found = {
        name: found
        for name, step in {**TASK_STEPS, **LOOK_STEPS}.items()
        # Ten hours are all that there is in so small a ledger, and PostgreSQL knows it.
        if (is_sqlite or "10 hours" not in name) and (found := faults(subject, name, step))
    }

    assert found == {}


def test_a_plan_that_reads_everything_is_noticed(subject: Subject) -> None:
    def everything() -> None:
        with subject.engine.begin() as connection:
            connection.execute(text("SELECT count(details) FROM timeline")).all()

    assert "timeline" in "".join(scans(subject.engine, everything))


def test_a_list_that_has_lost_its_index_is_noticed(subject: Subject) -> None:
    with subject.engine.begin() as connection:
        for index in set(INDEX_OF.values()):
            connection.execute(text(f"DROP INDEX {index}"))
    # On an old connection SQLite would repeat an earlier plan.
    subject.engine.dispose()

    assert [name for name in INDEX_OF if not faults(subject, name, LOOK_STEPS[name])] == []


def test_claims_and_outcomes_find_their_rows_by_the_key(database_url: str) -> None:
    fill_inbox(database_url, TASKS)
    inbox = InboxUnderTest(database_url)
    try:
        assert scans(inbox.engine, inbox.claim_and_record) == []
    finally:
        inbox.close()
