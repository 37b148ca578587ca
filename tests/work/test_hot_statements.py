"""What the driver executes itself does what SQLAlchemy does with the same statement, whatever the values."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, select

from waybill_contracts.wire import (
    DeadReason,
    ErrorInfo,
    LifecycleData,
    LifecycleEvent,
    LifecycleType,
    ProgressInfo,
    lifecycle_event,
)
from waybill_database import DriverStatement, Records
from waybill_database.driver_statement import Values
from waybill_ledger import (
    Accepted,
    IdempotentCall,
    NewTask,
    Submission,
    accept,
    apply_events,
    delete_published,
    new_task_id,
)
from waybill_ledger.schema import COUNTS, METADATA
from waybill_testkit.empty_ledger import put_empty_ledger
from waybill_testkit.samples import envelope_of, user_event
from waybill_worker.inbox import Inbox
from waybill_worker.inbox.cancelled_tasks import mark
from waybill_worker.inbox.claims import ClaimRequest
from waybill_worker.inbox.inbox import _Record
from waybill_worker.inbox.table import INBOX
from waybill_worker.outcome import Completed, Died, Outcome, RetryLater, Snoozed

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - gets one
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
SMALL = st.integers(0, 2)
ERRORS = st.builds(ErrorInfo, type=TEXTS, message=TEXTS)
RESULTS = st.dictionaries(
    TEXTS, st.none() | st.booleans() | st.integers() | TEXTS | st.lists(TEXTS), max_size=3
)
SERVICES = st.sampled_from(("email", "sync"))
TASKS = st.builds(
    NewTask,
    id=st.builds(new_task_id),
    kind=st.just("user.created"),
    dataschema=TEXTS,
    payload=st.binary(max_size=60),
    created_at=TIMES,
    correlation_id=TEXTS,
    routing_key=TEXTS,
    services=st.sampled_from((("email",), ("email", "sync"))),
    about=TEXTS,
    person=st.none() | st.just("p" * 32),
    is_secret=st.booleans(),
    due_at=st.none() | TIMES,
    deadline=st.none() | TIMES,
    priority=st.sampled_from((None, 0, 9)),
    traceparent=st.just("00-" + "1" * 32 + "-" + "2" * 16 + "-00"),
)
CALLS = st.none() | st.builds(
    IdempotentCall, st.just("POST /v1/users"), st.sampled_from("abc"), st.just("f" * 64)
)
OUTCOMES: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Completed, at=TIMES, seconds=st.just(0.5), max_attempts=st.just(4), result=RESULTS),
    st.builds(
        Died,
        at=TIMES,
        seconds=st.just(0.5),
        max_attempts=st.just(4),
        error=ERRORS,
        reason=st.sampled_from(DeadReason),
        where=st.none(),
    ),
    *(
        st.builds(
            postponed,
            at=TIMES,
            seconds=st.just(0.5),
            max_attempts=st.just(4),
            error=ERRORS,
            wait_seconds=st.just(2),
            next_attempt_at=TIMES,
        )
        for postponed in (RetryLater, Snoozed)
    ),
)
DATA = st.builds(
    LifecycleData,
    task_id=st.just("-"),
    service=SERVICES,
    kind=st.just("user.created"),
    redrive_no=SMALL,
    attempt=st.integers(1, 2),
    snooze_no=SMALL,
    max_attempts=st.just(4),
    seconds=st.none() | st.floats(0, 9),
    result=st.none() | RESULTS,
    error=ERRORS,
    reason=st.sampled_from(DeadReason),
    next_attempt_at=TIMES,
    progress=st.builds(ProgressInfo, share=st.none() | st.floats(0, 1), text=TEXTS),
)
EVENTS = st.builds(lifecycle_event, st.sampled_from(LifecycleType), TIMES, DATA)


class World:
    """A ledger and an inbox in one database."""

    def __init__(self, url: str) -> None:
        self.records = Records(url, readers=1)
        self.inbox = Inbox(self.records, "email", lease_seconds=60)
        self.inbox.make_table()

    def write(self, write: Any, items: Sequence[Any]) -> list[Any]:
        with self.records.engine.begin() as connection:
            return list(write(connection, items))

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables, but for the number of the session that counted."""
        with self.records.engine.begin() as connection:
            return {
                table.name: [
                    tuple(row)
                    for row in connection.execute(select(*_compared(table)).order_by(*table.primary_key))
                ]
                for table in (*METADATA.sorted_tables, INBOX)
            }


def _compared(table: Table) -> list[Any]:
    return [column for column in table.c if column is not COUNTS.c.session]


def by_sqlalchemy(statement: DriverStatement, connection: Connection, rows: Sequence[Values]) -> list[Any]:
    made: Any = statement._statement  # noqa: SLF001 - what SQLAlchemy would execute
    core = made(connection.dialect.name) if callable(made) else made
    return [row for values in rows for row in _all(connection.execute(core, dict(values)))]


def _all(result: Any) -> list[Any]:
    return list(result) if result.returns_rows else []


@contextmanager
def all_by_sqlalchemy() -> Iterator[set[DriverStatement]]:
    """Has SQLAlchemy execute what the driver would; yields the statements that were executed."""
    executed: set[DriverStatement] = set()

    def write(self: DriverStatement, connection: Connection, rows: Sequence[Values]) -> list[Any]:
        executed.add(self)
        return by_sqlalchemy(self, connection, rows)

    def rows(self: DriverStatement, connection: Connection, *rows: Values) -> list[Any]:
        return write(self, connection, rows)

    with patch.object(DriverStatement, "write", write), patch.object(DriverStatement, "rows", rows):
        yield executed


@pytest.fixture
def worlds(
    database_system: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[World, World]]:
    with ExitStack() as stack:
        if database_system == "sqlite":
            urls = [put_empty_ledger(tmp_path / f"{name}.db") for name in "ab"]
        else:
            server, template = (request.getfixturevalue(name) for name in ("postgres", "ledger_template"))
            urls = [stack.enter_context(server.database(copied_from=template)) for _ in "ab"]
        one, other = map(World, urls)
        stack.callback(one.records.engine.dispose)
        stack.callback(other.records.engine.dispose)
        yield one, other


def live(world: World, data: "Lives") -> list[Any]:
    """Accepts, publishes, cancels, claims, records and merges; tells all that was answered."""
    answers = world.write(accept, data.submissions)
    outbox_ids = [a.message.outbox_id for a in answers if isinstance(a, Accepted) and a.message]
    world.write(delete_published, [outbox_ids[:2]])
    told: list[Any] = [answers]
    if data.cancelled:
        world.write(mark, [("email", task_id) for task_id in data.cancelled])
    for attempt, outcomes in enumerate(data.outcomes, start=1):
        envelopes = [envelope_of(user_event(), task_id, attempt=attempt) for task_id in data.task_ids]
        requests = [
            ClaimRequest(
                envelope.task_id, 0, attempt, f"{number}.{attempt}", NOON, NOON + timedelta(minutes=1)
            )
            for number, envelope in enumerate(envelopes)
        ]
        told.append(world.write(world.inbox._claim_all, requests))  # noqa: SLF001 - at a given time
        done = [
            _Record(request.owner, envelope, outcome)
            for request, envelope, outcome in zip(requests, envelopes, outcomes, strict=True)
        ]
        told.append(world.write(world.inbox._record_all, done))  # noqa: SLF001 - as above
    told.append(world.write(lambda connection, events: [apply_events(connection, events)], data.events))
    return told


@dataclass(frozen=True)
class Lives:
    """What happens to a few tasks."""

    submissions: list[Submission]
    cancelled: list[str]
    #: Of two attempts of each task.
    outcomes: list[list[Outcome]]
    events: list[LifecycleEvent]

    @property
    def task_ids(self) -> list[str]:
        return [submission.task.id for submission in self.submissions]


@st.composite
def lives(draw: st.DrawFn) -> Lives:
    tasks = draw(st.lists(TASKS, min_size=1, max_size=4, unique_by=lambda task: task.id))
    ids = st.sampled_from([task.id for task in tasks])
    outcomes = st.lists(OUTCOMES, min_size=len(tasks), max_size=len(tasks))
    return Lives(
        [Submission(task, draw(CALLS)) for task in tasks],
        draw(st.lists(ids, unique=True)),
        [draw(outcomes), draw(outcomes)],
        [_of(event, task_id) for event, task_id in draw(st.lists(st.tuples(EVENTS, ids), max_size=8))],
    )


def _of(event: LifecycleEvent, task_id: str) -> LifecycleEvent:
    return event.model_copy(update={"data": event.data.model_copy(update={"task_id": task_id})})


def hot_statements() -> list[DriverStatement]:
    # Those who follow a ledger only read it, and are imported here only beside tests of theirs.
    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith("waybill_") and not name.startswith("waybill_ledger.following")
    ]
    return [each for module in modules for each in vars(module).values() if isinstance(each, DriverStatement)]


def test_every_hot_statement_does_what_sqlalchemy_does(worlds: tuple[World, World]) -> None:
    as_it_is, compared = worlds

    # The same examples each time: they execute every statement.
    @settings(max_examples=25, derandomize=True, phases=[Phase.generate])
    @given(lives())
    def compare(data: Lives) -> None:
        told = live(as_it_is, data)
        with all_by_sqlalchemy() as executed:
            assert live(compared, data) == told
        assert as_it_is.content() == compared.content()
        left.difference_update(executed)

    left = set(hot_statements())
    compare()
    assert not left
