"""No step of each task or periodic check may scan a large table: the databases explain the plans."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, UniqueConstraint, event, text

from bench.kit.filling import MODEL, fill_inbox, fill_ledger
from bench.kit.programs import ROOT
from bench.large.growth_steps import LOOK_STEPS, PATIENCE, TASK_STEPS, InboxUnderTest, Step, Subject
from waybill_contracts.states import State
from waybill_database import open_engine
from waybill_ledger import Range, TaskFilter, list_tasks, take_account
from waybill_ledger.schema import IDEMPOTENCY, OUTBOX, SUBTASKS, TASKS, TIMELINE
from waybill_testkit.postgres import Postgres
from waybill_worker.inbox import INBOX

#: As many as make PostgreSQL prefer an index: smaller tables it reads as a whole.
FILLED = 10 * MODEL
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
    # A walk along the key that ends with the page.
    "list: newest": IN_ORDER,
    "dead letters": "SCAN dead_letters",
    # It counts all that waits.
    "measure (10 hours)": "SCAN outbox",
}
NOW = datetime.now(UTC)


def _list(connection: Connection, _: Subject, **wanted: Any) -> None:
    list_tasks(connection, TaskFilter(**wanted), limit=50, cursor=None)


#: Of each index of the tables that are written for every task a step that needs it: docs/performance.md says
#: what for.
NEEDED_BY = {
    "tasks_by_state": "list: by state",
    "tasks_by_kind": "list: by kind",
    "tasks_by_creation": "account (10 hours)",
    "tasks_open_by_contract": "retire a service",
    "tasks_by_person": "list: by person",
    "tasks_by_parent": "one task",
    "tasks_by_schedule": "list: by schedule",
    "tasks_of_tenant": "list: of a tenant",
    "tasks_of_tenant_by_state": "list: of a tenant by state",
    "tasks_of_tenant_by_creation": "account of a tenant",
    "subtasks_by_service": "list: by service",
    "subtasks_by_expectation": "reconcile",
    "outbox_by_availability": "sweep",
    "outbox_held": "feeder",
    "outbox_by_task": "reconcile",
    "timeline_one_fact": "timeline",
    "idempotency_by_creation": "prune (nothing due)",
}
#: That no slot is released twice; the others are needed to read.
CONSTRAINTS = {"tasks_by_slot"}
#: SQLite gives the index of a constraint a name of its own.
NAME_IN_SQLITE = {"timeline_one_fact": "sqlite_autoindex_timeline_1"}
#: What only a few tasks have, or few installations.
RARE_STEPS: dict[str, Step] = {
    "list: by person": partial(_list, person="p" * 32),
    "list: of a tenant": partial(_list, tenant="acme"),
    "list: of a tenant by state": partial(_list, tenant="acme", state=State.FAILED),
    "account of a tenant": lambda connection, _: take_account(
        connection,
        Range(NOW, PATIENCE, since=NOW - timedelta(hours=10), tenant="acme"),
        limit=50,
        cursor=None,
    ),
}


@pytest.fixture(scope="module")
def filled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("filled") / "ledger.db"
    fill_ledger(f"sqlite:///{file}", FILLED)
    return file


@pytest.fixture(scope="module")
def filled_database(postgres: Postgres) -> str:
    url = postgres.new_database()
    fill_ledger(url, FILLED)
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


def indexes() -> set[str]:
    """Names of all indexes besides the primary keys of the tables that are written for every task."""
    tables = (TASKS, SUBTASKS, TIMELINE, OUTBOX, IDEMPOTENCY, INBOX)
    unique = {c.name for table in tables for c in table.constraints if isinstance(c, UniqueConstraint)}
    return {str(index.name) for table in tables for index in table.indexes} | {str(name) for name in unique}


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
    return scans(subject.engine, work, MEANT_SCANS.get(name))


def is_used(index: str, subject: Subject) -> bool:
    """Whether the step that needs an index reads by it."""
    name = NEEDED_BY[index]
    step = {**TASK_STEPS, **LOOK_STEPS, **RARE_STEPS}[name]
    lines = [line for _, lines in plans(subject.engine, partial(run, step, subject)) for line in lines]
    if subject.engine.dialect.name == "sqlite":
        index = NAME_IN_SQLITE.get(index, index)
    return any(re.search(rf"\b{index}\b", line) for line in lines)


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


def test_each_index_of_what_is_written_for_every_task_is_needed_by_a_statement(subject: Subject) -> None:
    assert NEEDED_BY.keys() | CONSTRAINTS == indexes()
    assert [index for index in NEEDED_BY if not is_used(index, subject)] == []


def test_an_index_that_is_gone_is_noticed(subject: Subject) -> None:
    gone = ("tasks_by_kind", "subtasks_by_service")
    with subject.engine.begin() as connection:
        for index in gone:
            connection.execute(text(f"DROP INDEX {index}"))
    # On an old connection SQLite would repeat an earlier plan.
    subject.engine.dispose()

    assert [index for index in gone if is_used(index, subject)] == []


def test_the_documents_tell_what_each_index_is_for() -> None:
    told = (ROOT / "docs" / "performance.md").read_text()
    table = told.partition("## Indexes\n")[2].partition("\n## ")[0]

    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == indexes()


def test_claims_and_outcomes_find_their_rows_by_the_key(database_url: str) -> None:
    fill_inbox(database_url, FILLED)
    inbox = InboxUnderTest(database_url)
    try:
        assert scans(inbox.engine, inbox.claim_and_record) == []
    finally:
        inbox.close()
