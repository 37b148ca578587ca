"""No step that every task, or every look, takes may read past all there is: the databases explain them."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from bench.filling import MODEL, fill_inbox, fill_ledger
from bench.growth_steps import LOOK_STEPS, TASK_STEPS, InboxUnderTest, Step, Subject
from sqlalchemy import Connection, event, text

from database import open_engine

#: As many as make PostgreSQL prefer an index: smaller tables it reads as a whole.
TASKS = 10 * MODEL
#: Tables that grow with the number of tasks, and so must not be scanned.
LARGE = "tasks|subtasks|timeline|idempotency|inbox|task_files"
#: As SQLite and PostgreSQL tell that they read a table from end to end.
SCANS = {
    "sqlite": re.compile(rf"SCAN ({LARGE})(?! USING INDEX subtasks_by_expectation)\b"),
    "postgresql": re.compile(rf"Seq Scan on ({LARGE})\b"),
}
#: A walk along an index that ends with the page, which SQLite calls a scan.
IN_ORDER = re.compile(r"SCAN tasks USING (COVERING )?INDEX sqlite_autoindex_tasks_1")


@pytest.fixture
def subject(database_url: str) -> Iterator[Subject]:
    fill_ledger(database_url, TASKS)
    subject = Subject(open_engine(database_url, connections=1))
    subject.look()
    yield subject
    subject.engine.dispose()


def explained(connection: Connection, statement: str, parameters: Any) -> list[str]:
    explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    return [str(row[-1]) for row in connection.exec_driver_sql(explain + statement, parameters)]


def scans(engine: Any, work: Any) -> list[str]:
    """The lines of all its statements' plans that read a large table as a whole."""
    seen: list[tuple[str, Any]] = []

    def note(*arguments: Any) -> None:
        _, _, statement, parameters, _, many = arguments
        seen.append((statement, parameters[0] if many and isinstance(parameters, list) else parameters))

    event.listen(engine, "before_cursor_execute", note)
    work()
    event.remove(engine, "before_cursor_execute", note)
    found = []
    with engine.begin() as connection:
        for statement, parameters in seen:
            if not statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
                continue
            if "pg_" in statement or "pragma_" in statement:
                continue
            found += [
                f"{line.strip()} in {statement}"
                for line in explained(connection, statement, parameters)
                if SCANS[engine.dialect.name].search(line) and not IN_ORDER.search(line)
            ]
    return found


def run(step: Step, subject: Subject) -> None:
    with subject.engine.begin() as connection:
        step(connection, subject)


def test_no_step_of_a_task_and_no_look_reads_a_large_table_as_a_whole(subject: Subject) -> None:
    is_sqlite = subject.engine.dialect.name == "sqlite"
    found = {
        name: told
        for name, step in {**TASK_STEPS, **LOOK_STEPS}.items()
        # Ten hours are all that there is in so small a ledger, and PostgreSQL knows it.
        if (is_sqlite or "10 hours" not in name)
        and (told := scans(subject.engine, partial(run, step, subject)))
    }

    assert found == {}


def test_a_plan_that_reads_everything_is_noticed(subject: Subject) -> None:
    def everything() -> None:
        with subject.engine.begin() as connection:
            connection.execute(text("SELECT count(details) FROM timeline")).all()

    assert "timeline" in "".join(scans(subject.engine, everything))


def test_claims_and_outcomes_find_their_rows_by_the_key(database_url: str) -> None:
    fill_inbox(database_url, TASKS)
    inbox = InboxUnderTest(database_url)
    try:
        assert scans(inbox.engine, inbox.claim_and_record) == []
    finally:
        inbox.close()
