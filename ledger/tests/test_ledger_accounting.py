from datetime import datetime, timedelta
from itertools import combinations_with_replacement
from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert, select, text, update

from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import LifecycleEvent, LifecycleType
from waybill_ledger import (
    Account,
    BadCursorError,
    Cancellation,
    NewTask,
    OverdueSearch,
    Range,
    StallTimeouts,
    Submission,
    accept,
    apply_events,
    cancel,
    delete_published,
    reconcile,
    take_account,
)
from waybill_ledger.progress.states import task_state
from waybill_ledger.reports.accounting import counts_query
from waybill_ledger.reports.unplaced import MOST_TIMEOUTS
from waybill_ledger.schema.tables import OUTBOX, SUBTASKS, TASKS
from waybill_testkit.samples import NOON, email_event, new_task, reported, user_event

MINUTE, JUST = timedelta(minutes=1), timedelta(microseconds=1)
PATIENCE = StallTimeouts(pending=MINUTE, running=15 * MINUTE, retrying=2 * MINUTE)
STARTED, RETRYING, COMPLETED = LifecycleType.STARTED, LifecycleType.RETRYING, LifecycleType.COMPLETED
DEAD = LifecycleType.DEAD


def accepted(engine: Engine, *tasks: NewTask) -> None:
    with engine.begin() as connection:
        accept(connection, [Submission(task) for task in tasks])


def published(engine: Engine, *tasks: NewTask) -> None:
    accepted(engine, *tasks)
    with engine.begin() as connection:
        delete_published(connection, [list(connection.scalars(select(OUTBOX.c.id)))])


def happened(engine: Engine, *events: LifecycleEvent) -> None:
    with engine.begin() as connection:
        apply_events(connection, events)


def account(
    engine: Engine,
    *,
    now: datetime = NOON + MINUTE,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Account:
    with engine.begin() as connection:
        return take_account(connection, Range(now, PATIENCE, since, until), limit=limit, cursor=cursor)


def damaged(engine: Engine, *statements: Any) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)


def reasons(engine: Engine, **asked: Any) -> list[str]:
    seen = account(engine, **asked)
    assert not seen.is_balanced
    (task,) = seen.unplaced
    assert seen.unplaced_count == 1
    return list(task.reasons)


def test_an_empty_ledger_is_balanced(engine: Engine) -> None:
    seen = account(engine)

    assert (seen.kinds, seen.accepted, seen.unplaced, seen.next_cursor) == ({}, {}, [], None)
    assert seen.is_balanced


def test_every_accepted_task_is_counted_in_its_state(engine: Engine) -> None:
    pending, running, retrying, completed, failed, cancelled, user = (new_task() for _ in range(7))
    user = new_task(user_event())
    later = new_task(due_at=NOON + timedelta(days=1))
    stopped = new_task(due_at=NOON + timedelta(days=1))
    accepted(engine, pending, running, retrying, completed, failed, cancelled, user, later, stopped)
    happened(
        engine,
        reported(STARTED, running.id),
        reported(RETRYING, retrying.id),
        reported(COMPLETED, completed.id),
        reported(DEAD, failed.id),
        reported(LifecycleType.CANCELLED, cancelled.id),
        reported(COMPLETED, user.id, kind="user.created"),
    )
    with engine.begin() as connection:
        cancel(connection, [Cancellation(stopped.id, NOON)])
    seen = account(engine)

    mails = {
        State.SCHEDULED: 1,
        State.PENDING: 1,
        State.RUNNING: 1,
        State.RETRYING: 1,
        State.COMPLETED: 1,
        State.FAILED: 1,
        State.CANCELLED: 2,
    }
    users = dict.fromkeys(State, 0) | {State.RUNNING: 1}
    assert seen.kinds == {"email.requested": mails, "user.created": users}
    assert seen.accepted == {"email.requested": 8, "user.created": 1}
    assert seen.unplaced == []
    assert seen.is_balanced


def test_a_range_begins_with_its_since_and_ends_before_its_until(engine: Engine) -> None:
    accepted(engine, *(new_task(created_at=NOON + minutes * MINUTE) for minutes in range(5)))
    counted = [
        sum(account(engine, since=since, until=until).accepted.values())
        for since, until in (
            (NOON, NOON + MINUTE),
            (NOON + MINUTE, NOON + 3 * MINUTE),
            (NOON + 3 * MINUTE, None),
            (None, NOON),
            (None, NOON + JUST),
        )
    ]

    assert counted == [1, 2, 2, 0, 1]


def test_only_damage_within_the_range_is_told(engine: Engine) -> None:
    task = new_task()
    accepted(engine, task)
    damaged(engine, delete(SUBTASKS))

    assert account(engine, until=NOON).is_balanced
    assert account(engine, since=NOON + JUST).is_balanced
    assert not account(engine, since=NOON).is_balanced


def test_a_tasks_state_is_held_against_its_subtasks_in_every_combination(engine: Engine) -> None:
    combinations = [c for size in (1, 2, 3) for c in combinations_with_replacement(State, size)]
    wrong = set()
    tasks, subtasks = [], []
    for combination in combinations:
        for state in State:
            task = new_task()
            ended = NOON if state.is_terminal else None
            tasks.append(
                {"id": task.id, "kind": task.kind, "state": state, "created_at": NOON, "completed_at": ended}
                | {"correlation_id": "c", "about": "a", "dataschema": "d"}
            )
            for number, part in enumerate(combination):
                subtasks.append(
                    {"task_id": task.id, "service": f"s{number}", "state": part, "position": 0}
                    | {"redrive_no": 0, "attempt": 0, "updated_at": NOON}
                    | {"expected_at": None if part.is_terminal else NOON}
                )
            if task_state(combination) is not state:
                wrong.add(task.id)
    damaged(engine, insert(TASKS).values(tasks), insert(SUBTASKS).values(subtasks))
    seen = account(engine, limit=10_000)

    assert {task.task_id for task in seen.unplaced} == wrong
    assert {len(task.reasons) for task in seen.unplaced} == {1}


def test_a_state_that_contradicts_the_subtasks_is_told_with_both(engine: Engine) -> None:
    task = new_task(user_event())
    accepted(engine, task)
    happened(
        engine,
        reported(COMPLETED, task.id, kind=task.kind),
        reported(DEAD, task.id, service="sync", kind=task.kind),
    )
    damaged(engine, update(TASKS).values(state="completed"))

    assert reasons(engine) == [
        "its state is completed, but by its subtasks (email completed; sync failed) it should be failed"
    ]


def test_a_task_without_subtasks_is_told(engine: Engine) -> None:
    accepted(engine, new_task())
    damaged(engine, delete(SUBTASKS))

    assert reasons(engine) == ["it has no subtasks, so no service will work on it"]


def test_a_state_that_there_is_not_breaks_the_sum_and_is_told(engine: Engine) -> None:
    task = new_task()
    accepted(engine, task, new_task())
    damaged(engine, update(TASKS).where(TASKS.c.id == task.id).values(state="lost"))
    seen = account(engine)

    assert (seen.accepted["email.requested"], sum(seen.kinds["email.requested"].values())) == (2, 1)
    assert seen.unplaced[0].reasons[0] == "its state 'lost' is unknown"


def test_a_subtasks_state_that_there_is_not_is_told(engine: Engine) -> None:
    accepted(engine, new_task())
    damaged(engine, update(SUBTASKS).values(state="lost", expected_at=None))

    assert "a subtask is in an unknown state: email lost" in reasons(engine)


def test_an_outcome_without_its_time_is_told(engine: Engine) -> None:
    task = new_task()
    accepted(engine, task)
    happened(engine, reported(COMPLETED, task.id))
    damaged(engine, update(TASKS).values(completed_at=None))

    assert reasons(engine) == ["it is completed, but has no time of completion"]


def test_a_time_of_completion_without_an_outcome_is_told(engine: Engine) -> None:
    accepted(engine, new_task())
    damaged(engine, update(TASKS).values(completed_at=NOON))

    assert reasons(engine) == ["it is pending, but has a time of completion"]


def test_a_subtask_that_the_reconciler_would_never_look_at_is_told(engine: Engine) -> None:
    accepted(engine, new_task())
    damaged(engine, update(SUBTASKS).values(expected_at=None))

    assert reasons(engine) == [
        "a subtask has no outcome, and no time at which the reconciler would check it: email pending"
    ]


@pytest.mark.parametrize(
    ("told_before", "due"),
    [
        ([], NOON + PATIENCE.pending),
        ([STARTED], NOON + PATIENCE.running),
        ([RETRYING], NOON + timedelta(seconds=2) + PATIENCE.retrying),
    ],
)
def test_a_silence_beyond_the_reconcilers_patience_is_told(
    engine: Engine, told_before: list[LifecycleType], due: datetime
) -> None:
    """Pain: tasks vanish without a log line (celery 9811, celery 2380)."""
    task = new_task()
    published(engine, task)
    happened(engine, *(reported(type_, task.id) for type_ in told_before))
    late = due + (MOST_TIMEOUTS - 1) * PATIENCE.pending

    assert account(engine, now=late - JUST).is_balanced
    (reason,) = reasons(engine, now=late)
    assert reason.startswith("a heartbeat is overdue, nothing is in the outbox, and the reconciler has not")
    assert "due 2026-03-01 12:00:0" in reason


def test_what_the_outbox_holds_or_the_reconciler_put_back_is_placed(engine: Engine) -> None:
    late = NOON + timedelta(days=1)
    accepted(engine, new_task())
    assert account(engine, now=late).is_balanced

    damaged(engine, delete(OUTBOX))
    assert not account(engine, now=late).is_balanced

    with engine.begin() as connection:
        reconcile(connection, [OverdueSearch(late, PATIENCE, 10)])
    assert account(engine, now=late).is_balanced
    damaged(engine, delete(OUTBOX))  # published
    assert account(engine, now=late).is_balanced


def test_an_outcome_is_never_silent(engine: Engine) -> None:
    task = new_task()
    published(engine, task)
    happened(engine, reported(COMPLETED, task.id))

    assert account(engine, now=NOON + timedelta(days=9999)).is_balanced


def test_each_thing_that_is_wrong_is_told(engine: Engine) -> None:
    accepted(engine, new_task())
    damaged(
        engine,
        update(TASKS).values(state="completed"),
        update(SUBTASKS).values(expected_at=None),
    )

    assert [reason.split(",")[0] for reason in reasons(engine)] == [
        "its state is completed",
        "it is completed",
        "a subtask has no outcome",
    ]


def test_many_are_told_in_pages(engine: Engine) -> None:
    tasks = [new_task(email_event()) for _ in range(5)]
    accepted(engine, *tasks, new_task(user_event()))
    damaged(engine, delete(SUBTASKS).where(SUBTASKS.c.task_id.in_([task.id for task in tasks])))
    pages, cursor = [], None
    while True:
        page = account(engine, limit=2, cursor=cursor)
        assert (page.unplaced_count, page.is_balanced) == (5, False)
        pages.append([task.task_id for task in page.unplaced])
        cursor = page.next_cursor
        if cursor is None:
            break

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [task_id for page in pages for task_id in page] == sorted(task.id for task in tasks)


def test_a_cursor_of_someone_elses_is_refused(engine: Engine) -> None:
    with pytest.raises(BadCursorError):
        account(engine, cursor="nonsense")


def test_counting_reads_an_index_and_no_row(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL's plan depends on its statistics")
    for wanted in (Range(NOON, PATIENCE), Range(NOON, PATIENCE, NOON, NOON + MINUTE)):
        query = counts_query(wanted).compile(engine, compile_kwargs={"literal_binds": True})
        with engine.begin() as connection:
            plan = str(connection.execute(text(f"EXPLAIN QUERY PLAN {query}")).all())
        assert "COVERING INDEX tasks_by_creation" in plan
