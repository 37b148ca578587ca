"""What happened is counted by minute: once, with the change itself, and nobody waits for it."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from waybill_contracts.wire.lifecycle import LifecycleEvent, LifecycleType
from waybill_ledger import NewTask, Submission, accept, apply_events
from waybill_ledger.counts import (
    CountsQuery,
    CountsRead,
    FoldStep,
    fold_counts,
    handler_numbers,
    percentiles,
    pickup_numbers,
    read_counts,
)
from waybill_ledger.schema.count_tables import CLASS_BOUNDS, COUNTS
from waybill_testkit.samples import NOON, keyed, new_task, reported, user_event

STARTED, RETRYING, SNOOZED, COMPLETED, DEAD, CANCELLED = (
    LifecycleType.STARTED,
    LifecycleType.RETRYING,
    LifecycleType.SNOOZED,
    LifecycleType.COMPLETED,
    LifecycleType.DEAD,
    LifecycleType.CANCELLED,
)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def accepted(engine: Engine, *tasks: NewTask) -> None:
    with engine.begin() as connection:
        accept(connection, [Submission(task) for task in tasks])


def applied(engine: Engine, *events: LifecycleEvent) -> None:
    with engine.begin() as connection:
        apply_events(connection, events)


def read(
    engine: Engine,
    since: datetime = NOON - HOUR,
    until: datetime = NOON + HOUR,
    step: int = 60,
    **only: str | None,
) -> CountsRead:
    with engine.begin() as connection:
        return read_counts(connection, CountsQuery(since, until, step, **only))


def sums(found: CountsRead) -> dict[str, int]:
    """What was counted at all, by name, without the classes of times."""
    names = {name for part in found.parts for name in part.numbers if name[-1].isalpha()}
    added = {name: sum(part.numbers[name] for part in found.parts) for name in names}
    return {name: number for name, number in added.items() if number}


def a_life(task: NewTask) -> list[LifecycleEvent]:
    """The mail fails, is put off, and succeeds; the record fails for good."""
    about: dict[str, Any] = {"task_id": task.id, "kind": task.kind}
    return [
        reported(STARTED, **about, seconds_after=1),
        reported(RETRYING, **about, seconds_after=2),
        reported(STARTED, **about, attempt=2, seconds_after=4),
        reported(SNOOZED, **about, attempt=2, seconds_after=5),
        reported(STARTED, **about, attempt=2, snooze_no=1, seconds_after=7),
        reported(COMPLETED, **about, attempt=2, snooze_no=1, seconds_after=8),
        reported(STARTED, **about, service="sync", seconds_after=1),
        reported(DEAD, **about, service="sync", seconds_after=70),
    ]


LIFE = {
    "accepted": 1,
    "tasks_failed": 1,
    "completed": 1,
    "failed": 1,
    "attempts": 3,
    "retries": 1,
    "snoozes": 1,
}


def test_a_life_is_counted_by_minute_kind_and_service(engine: Engine) -> None:
    task = new_task(user_event())
    accepted(engine, task)
    for event in a_life(task):
        applied(engine, event)
    found = read(engine)

    assert sums(found) == LIFE
    assert {(part.kind, part.service) for part in found.parts} == {
        ("user.created", ""),
        ("user.created", "email"),
        ("user.created", "sync"),
    }
    assert list(found.series) == [NOON, NOON + MINUTE]
    assert found.series[NOON + MINUTE]["tasks_failed"] == 1
    # Both began a second after they were due; each attempt that was reported took half a second.
    assert pickup_numbers(found.parts)[CLASS_BOUNDS.index(1)] == 2
    assert handler_numbers(found.parts)[CLASS_BOUNDS.index(0.5)] == 4
    assert sums(read(engine, service="email")) == {
        "completed": 1,
        "attempts": 2,
        "retries": 1,
        "snoozes": 1,
    }
    assert sums(read(engine, kind="email.requested")) == {}
    assert sums(read(engine, tenant="acme")) == {}


def test_a_repeated_report_is_counted_once(engine: Engine) -> None:
    task = new_task(user_event())
    accepted(engine, task)
    life = a_life(task)
    applied(engine, *life, *life)
    again = life * 3
    random.Random(7).shuffle(again)
    for event in again:
        applied(engine, event)

    assert sums(read(engine)) == LIFE


def test_a_transaction_that_fails_counts_nothing_and_its_repetition_counts_once(engine: Engine) -> None:
    task = new_task(user_event())
    for is_repetition in (False, True):
        with engine.connect() as connection, connection.begin() as transaction:
            accept(connection, [Submission(task)])
            apply_events(connection, a_life(task))
            if not is_repetition:
                transaction.rollback()
        assert sums(read(engine)) == (LIFE if is_repetition else {})


def test_a_repeated_call_is_counted_once(engine: Engine) -> None:
    with engine.begin() as connection:
        accept(connection, [Submission(new_task(), keyed("a")), Submission(new_task(), keyed("a"))])
    with engine.begin() as connection:
        accept(connection, [Submission(new_task(), keyed("a"))])

    assert sums(read(engine)) == {"accepted": 1}


def test_an_attempt_that_a_cancellation_has_prevented_is_none(engine: Engine) -> None:
    task = new_task()
    accepted(engine, task)
    applied(engine, reported(CANCELLED, task.id))

    assert sums(read(engine)) == {"accepted": 1, "cancelled": 1, "tasks_cancelled": 1}


def test_an_attempt_that_was_given_up_before_it_ran_is_none(engine: Engine) -> None:
    task = new_task()
    accepted(engine, task)
    died = reported(DEAD, task.id)
    # As the service reports an attempt whose deadline had passed.
    applied(engine, died.model_copy(update={"data": died.data.model_copy(update={"seconds": 0.0})}))

    assert sums(read(engine)) == {"accepted": 1, "failed": 1, "tasks_failed": 1}


def test_counts_of_many_tasks_share_a_row(engine: Engine) -> None:
    tasks = [new_task() for _ in range(30)]
    accepted(engine, *tasks)
    applied(engine, *(reported(COMPLETED, task.id) for task in tasks))

    with engine.begin() as connection:
        assert len(connection.execute(select(COUNTS)).all()) == 2
    assert sums(read(engine))["tasks_completed"] == 30


def test_no_transaction_waits_for_the_counts_of_another(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("on SQLite one writes at a time")
    one, other = new_task(), new_task()
    accepted(engine, one, other)
    with engine.begin() as first, engine.begin() as second:
        for connection, task in ((first, one), (second, other)):
            connection.execute(text("SET LOCAL lock_timeout = '2s'"))
            accept(connection, [Submission(new_task())])
            apply_events(connection, [reported(COMPLETED, task.id)])

    assert sums(read(engine)) == {
        "accepted": 4,
        "attempts": 2,
        "completed": 2,
        "tasks_completed": 2,
    }


def folded(engine: Engine, minutes_before: datetime, hours_before: datetime, most: int = 500) -> int:
    rows = 0
    after: str | None = ""
    while after is not None:
        with engine.begin() as connection:
            (step,) = fold_counts(connection, [FoldStep(minutes_before, hours_before, most)])
        rows, after = rows + step.rows, step.after
    return rows


@pytest.mark.parametrize("most", [1, 500])
def test_old_minutes_become_hours_and_nothing_is_lost(engine: Engine, most: int) -> None:
    tasks = [new_task(user_event(), created_at=NOON + number * 7 * MINUTE) for number in range(12)]
    accepted(engine, *tasks)
    applied(engine, *(event for task in tasks for event in a_life(task)))
    before = read(engine, until=NOON + DAY, step=3600)

    assert folded(engine, NOON + 30 * MINUTE, NOON - DAY, most) > 0
    # A report that comes late adds to a minute that was there before.
    late = new_task(created_at=NOON)
    accepted(engine, late)
    folded(engine, NOON + 30 * MINUTE, NOON - DAY, most)
    after = read(engine, until=NOON + DAY, step=3600)

    assert sums(after) == {**sums(before), "accepted": 13}
    assert [sum(pickup_numbers(found.parts)) for found in (before, after)] == [24, 24]
    assert list(after.series) == list(before.series)
    with engine.begin() as connection:
        old = select(COUNTS).where(COUNTS.c.seconds == 60, COUNTS.c.at < NOON + 30 * MINUTE)
        assert connection.execute(old).all() == []
    assert folded(engine, NOON + 30 * MINUTE, NOON - DAY, most) == 0


def test_old_hours_are_deleted(engine: Engine) -> None:
    accepted(engine, new_task(created_at=NOON), new_task(created_at=NOON + DAY))
    folded(engine, NOON + 2 * DAY, NOON + DAY)

    assert sums(read(engine, until=NOON + 3 * DAY, step=3600)) == {"accepted": 1}
    assert list(read(engine, until=NOON + 3 * DAY, step=3600).series) == [NOON + DAY]


def test_steps_begin_at_whole_steps(engine: Engine) -> None:
    accepted(engine, *(new_task(created_at=NOON + number * 10 * MINUTE) for number in range(4)))

    series = read(engine, step=900).series
    assert {at: numbers["accepted"] for at, numbers in series.items()} == {
        NOON: 2,
        NOON + 15 * MINUTE: 1,
        NOON + 30 * MINUTE: 1,
    }


def numbers_of(*seconds: float) -> list[int]:
    classes = [0] * (len(CLASS_BOUNDS) + 1)
    for each in seconds:
        classes[next((at for at, bound in enumerate(CLASS_BOUNDS) if each <= bound), -1)] += 1
    return classes


def test_percentiles_lie_in_the_class_that_holds_them() -> None:
    many = numbers_of(*[0.003] * 90, *[2] * 9, 100_000)

    p50, p95, p99, p100 = percentiles(many, 0.5, 0.95, 0.99, 1) or []
    assert 0 < p50 < 0.005
    assert 1 < p95 < 2.5
    assert p99 == 2.5
    # How much longer is not known.
    assert p100 == 86_400


def test_percentiles_of_nothing_are_none() -> None:
    assert percentiles(numbers_of(), 0.5) is None
