import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select, text

from waybill_contracts.states import State
from waybill_contracts.wire.control import CancelRequested
from waybill_contracts.wire.lifecycle import LifecycleEvent, LifecycleType
from waybill_ledger import (
    Cancellation,
    NewTask,
    Overdue,
    OverdueSearch,
    PendingMessage,
    StallTimeouts,
    Stopping,
    Submission,
    Sweep,
    accept,
    apply_events,
    cancel,
    delete_published,
    delete_swept,
    is_any_overdue,
    reconcile,
    take_due,
)
from waybill_ledger.progress.reconciliation import CONTROL_LEAD, MOST_DOUBLINGS, overdue_query
from waybill_ledger.schema.tables import OUTBOX, SUBTASKS, TASKS
from waybill_testkit.samples import NOON, new_task, reported, reset_event, user_event

MINUTE = timedelta(minutes=1)
JUST = timedelta(microseconds=1)
PATIENCE = StallTimeouts(pending=MINUTE, running=15 * MINUTE, retrying=2 * MINUTE)
STARTED, RETRYING, COMPLETED = LifecycleType.STARTED, LifecycleType.RETRYING, LifecycleType.COMPLETED
#: When the second attempt of the samples' failed one is due.
NEXT = NOON + timedelta(seconds=2)


def published(engine: Engine, *tasks: NewTask) -> None:
    """Accepted, and gone from the outbox: as if the gateway had published them."""
    with engine.begin() as connection:
        accept(connection, [Submission(task) for task in tasks])
        delete_published(connection, [list(connection.scalars(select(OUTBOX.c.id)))])


def happened(engine: Engine, *events: LifecycleEvent) -> None:
    with engine.begin() as connection:
        apply_events(connection, events)


def reconciled(engine: Engine, now: datetime, most: int = 100) -> list[Overdue]:
    look = OverdueSearch(now, PATIENCE, most)
    with engine.begin() as connection:
        expected = is_any_overdue(connection, look)
    with engine.begin() as connection:
        (found,) = reconcile(connection, [look])
    assert bool(found) is expected
    return found


def swept(engine: Engine, now: datetime) -> list[PendingMessage]:
    with engine.begin() as connection:
        (messages,) = take_due(connection, [Sweep(now, now + MINUTE, 100)])
        delete_swept(connection, [([message.outbox_id for message in messages], now)])
    return messages


@pytest.mark.parametrize(
    ("told_before", "due", "attempt"),
    [
        ([], NOON + PATIENCE.pending, 1),
        ([(STARTED, 1)], NOON + PATIENCE.running, 1),
        ([(RETRYING, 1)], NEXT + PATIENCE.retrying, 2),
        ([(RETRYING, 1), (STARTED, 2)], NOON + PATIENCE.running, 2),
    ],
)
def test_each_state_has_its_patience_and_its_attempt(
    engine: Engine, told_before: list[tuple[LifecycleType, int]], due: datetime, attempt: int
) -> None:
    task = new_task()
    published(engine, task)
    happened(engine, *(reported(type_, task.id, attempt=number) for type_, number in told_before))

    assert reconciled(engine, due - JUST) == []
    (found,) = reconciled(engine, due)
    assert (found.task_id, found.service, found.attempt, found.times) == (task.id, "email", attempt, 1)
    assert found.snooze_no == 0
    (message,) = swept(engine, due)
    assert (message.exchange, message.routing_key) == ("", "email.work")
    assert (message.envelope.task_id, message.envelope.attempt) == (task.id, attempt)
    assert (message.envelope.kind, message.envelope.max_attempts) == ("email.requested", None)
    assert message.body


def test_one_that_reports_progress_is_not_taken_for_lost(engine: Engine) -> None:
    task = new_task()
    published(engine, task)
    happened(engine, reported(STARTED, task.id))
    reconciled(engine, NOON + PATIENCE.running)
    swept(engine, NOON + PATIENCE.running)
    happened(engine, reported(LifecycleType.PROGRESS, task.id, seconds_after=3600))

    alive = NOON + timedelta(hours=1)
    assert reconciled(engine, alive + PATIENCE.running - JUST) == []
    (found,) = reconciled(engine, alive + PATIENCE.running)
    assert (found.attempt, found.times) == (1, 1)


def test_one_that_was_put_off_is_put_back_as_the_same_attempt(engine: Engine) -> None:
    task = new_task()
    published(engine, task)
    happened(engine, reported(LifecycleType.SNOOZED, task.id, attempt=2, snooze_no=4))

    assert reconciled(engine, NEXT + PATIENCE.retrying - JUST) == []
    (found,) = reconciled(engine, NEXT + PATIENCE.retrying)
    (message,) = swept(engine, NEXT + PATIENCE.retrying)
    assert (found.attempt, found.snooze_no) == (2, 5)
    assert (message.envelope.attempt, message.envelope.snooze_no) == (2, 5)


def test_a_redriven_one_keeps_its_redrive(engine: Engine) -> None:
    task = new_task()
    published(engine, task)
    happened(engine, reported(STARTED, task.id, redrive_no=3, attempt=2))
    reconciled(engine, NOON + PATIENCE.running)
    (message,) = swept(engine, NOON + PATIENCE.running)

    assert (message.envelope.redrive_no, message.envelope.attempt) == (3, 2)


@pytest.mark.parametrize("outcome", [COMPLETED, LifecycleType.DEAD, LifecycleType.CANCELLED])
def test_an_outcome_is_never_overdue(engine: Engine, outcome: LifecycleType) -> None:
    task = new_task()
    published(engine, task)
    happened(engine, reported(outcome, task.id))

    assert reconciled(engine, NOON + timedelta(days=365)) == []


def test_only_the_silent_subtask_is_put_back(engine: Engine) -> None:
    task = new_task(user_event())
    published(engine, task)
    happened(engine, reported(COMPLETED, task.id, kind=task.kind))

    assert [found.service for found in reconciled(engine, NOON + MINUTE)] == ["sync"]
    assert [message.routing_key for message in swept(engine, NOON + MINUTE)] == ["sync.work"]


def test_what_the_outbox_holds_is_the_sweeps(engine: Engine) -> None:
    late = NOON + timedelta(days=2)
    with engine.begin() as connection:
        accept(connection, [Submission(new_task()), Submission(new_task(due_at=NOON + timedelta(days=1)))])

    assert reconciled(engine, late) == []
    assert len(swept(engine, late)) == 2
    # It is at the broker only now: its patience begins.
    assert reconciled(engine, late + MINUTE - JUST) == []
    assert len(reconciled(engine, late + MINUTE)) == 2


def test_a_scheduled_one_whose_row_is_gone_is_put_back_after_its_time(engine: Engine) -> None:
    task = new_task(due_at=NOON + timedelta(days=1))
    published(engine, task)

    assert reconciled(engine, NOON + timedelta(days=1) + MINUTE - JUST) == []
    assert [found.state for found in reconciled(engine, NOON + timedelta(days=1) + MINUTE)] == [
        State.SCHEDULED
    ]
    assert len(swept(engine, NOON + timedelta(days=2))) == 1


def test_never_two_outstanding_and_patience_doubles(engine: Engine) -> None:
    published(engine, new_task())
    now = NOON + MINUTE
    for times in range(1, MOST_DOUBLINGS + 3):
        (found,) = reconciled(engine, now)
        assert found.times == times
        assert reconciled(engine, now + timedelta(days=1)) == []  # while it is in the outbox
        assert len(swept(engine, now)) == 1
        wait = MINUTE * 2 ** min(times, MOST_DOUBLINGS)
        assert reconciled(engine, now + wait - JUST) == []
        now += wait


def test_a_sign_of_life_ends_the_doubling(engine: Engine) -> None:
    task = new_task()
    published(engine, task)
    reconciled(engine, NOON + MINUTE)
    swept(engine, NOON + MINUTE)
    happened(engine, reported(RETRYING, task.id))

    assert [found.times for found in reconciled(engine, NEXT + PATIENCE.retrying)] == [1]


def test_what_was_cancelled_is_told_again_before_the_attempt(engine: Engine) -> None:
    task = new_task(user_event())
    published(engine, task)
    with engine.begin() as connection:
        (stopping,) = cancel(connection, [Cancellation(task.id, NOON)])
        assert isinstance(stopping, Stopping)
        delete_published(connection, [[message.outbox_id for message in stopping.messages]])
    assert [found.is_cancel_requested for found in reconciled(engine, NOON + MINUTE)] == [True, True]

    told = swept(engine, NOON + MINUTE)
    assert sorted((message.exchange, message.routing_key) for message in told) == [
        ("cancellations", "email"),
        ("cancellations", "sync"),
    ]
    assert {CancelRequested.model_validate_json(message.body).task_id for message in told} == {task.id}
    attempts = swept(engine, NOON + MINUTE + CONTROL_LEAD)
    assert sorted(message.routing_key for message in attempts) == ["email.work", "sync.work"]


def test_the_longest_overdue_come_first_and_no_more_than_asked_for(engine: Engine) -> None:
    tasks = [new_task(created_at=NOON - n * MINUTE) for n in range(5)]
    published(engine, *tasks)
    late = NOON + 10 * MINUTE

    assert [found.task_id for found in reconciled(engine, late, most=2)] == [tasks[4].id, tasks[3].id]
    assert [found.task_id for found in reconciled(engine, late, most=2)] == [tasks[2].id, tasks[1].id]


def test_a_secret_that_was_put_back_is_not_published_once_it_has_served(engine: Engine) -> None:
    task = new_task(reset_event())
    published(engine, task)
    (found,) = reconciled(engine, NOON + MINUTE)
    # The original was alive, and its mail is sent: the payload is forgotten.
    happened(engine, reported(COMPLETED, found.task_id, kind=task.kind))

    assert swept(engine, NOON + timedelta(days=1)) == []
    assert reconciled(engine, NOON + timedelta(days=1)) == []


def test_whatever_can_be_overdue_still_has_its_payload(engine: Engine) -> None:
    tasks = [new_task(reset_event()) for _ in range(3)]
    published(engine, *tasks)
    happened(engine, *(reported(COMPLETED, task.id, kind=task.kind) for task in tasks[:2]))
    with engine.connect() as connection:
        rows = connection.execute(
            select(SUBTASKS.c.expected_at, TASKS.c.payload).join(TASKS, TASKS.c.id == SUBTASKS.c.task_id)
        ).all()

    assert sorted((row.expected_at is None, row.payload is None) for row in rows) == [
        (False, False),
        (True, True),
        (True, True),
    ]


def test_two_reconcilers_at_once_put_nothing_back_twice(engine: Engine) -> None:
    published(engine, *(new_task() for _ in range(60)))
    together = threading.Barrier(2)

    def all_there_is() -> list[Overdue]:
        together.wait()
        found: list[Overdue] = []
        while batch := reconcile_once():
            found += batch
        return found

    def reconcile_once() -> list[Overdue]:
        with engine.begin() as connection:
            (found,) = reconcile(connection, [OverdueSearch(NOON + MINUTE, PATIENCE, 7)])
        return found

    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(all_there_is) for _ in range(2))
        found = first.result() + second.result()

    assert len(found) == len({(each.task_id, each.service) for each in found}) == 60


def test_a_task_that_is_being_merged_is_passed_over_on_postgresql(engine: Engine) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer")
    alive, silent = new_task(), new_task()
    published(engine, alive, silent)
    with engine.begin() as connection:
        apply_events(connection, [reported(STARTED, alive.id)])
        # Not committed yet: the reconciler neither waits for it nor takes it for silent.
        with engine.begin() as other:
            (found,) = reconcile(other, [OverdueSearch(NOON + MINUTE, PATIENCE, 100)])
    assert [each.task_id for each in found] == [silent.id]
    assert reconciled(engine, NOON + MINUTE) == []


def test_finding_nothing_is_cheap_among_many_that_have_ended(engine: Engine) -> None:
    ended = [new_task() for _ in range(500)]
    published(engine, *ended)
    happened(engine, *(reported(COMPLETED, task.id) for task in ended))
    with engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        query = overdue_query(OverdueSearch(NOON + MINUTE, PATIENCE, 100)).limit(100)
        asked = query.compile(engine, compile_kwargs={"literal_binds": True})
        explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
        plan = "\n".join(str(row) for row in connection.execute(text(f"{explain} {asked}")))

    assert "subtasks_by_expectation" in plan
