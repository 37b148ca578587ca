"""Schedules are not late for a clock that was ahead when their next slot was computed."""

from datetime import datetime, timedelta

from sqlalchemy import Engine, select, update

from waybill_contracts.privacy.seal import NO_KEYS
from waybill_contracts.registry import built_in_registry
from waybill_ledger import (
    Created,
    Missed,
    NewSchedule,
    Plan,
    ReleaseBatch,
    Schedule,
    SlotScan,
    bring_forward,
    create_schedules,
    find_postponed,
    get_schedule,
    new_task_id,
    release_due,
)
from waybill_ledger.schema.tables import SCHEDULES, TASKS
from waybill_testkit.samples import NOON, plan

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def created(engine: Engine, plan_: Plan) -> Schedule:
    with engine.begin() as connection:
        (answer,) = create_schedules(connection, [NewSchedule(new_task_id(), plan_, NOON, 100)])
    assert isinstance(answer, Created)
    return answer.schedule


def released(engine: Engine, now: datetime) -> None:
    with engine.begin() as connection:
        release_due(connection, [ReleaseBatch(now, 50, NO_KEYS, built_in_registry())])


def checked(engine: Engine, now: datetime) -> int:
    with engine.begin() as connection:
        seen = find_postponed(connection, SlotScan(now, 50))
        (changed,) = bring_forward(connection, [seen.postponed])
    return changed


def next_at(engine: Engine, schedule: Schedule) -> datetime | None:
    with engine.connect() as connection:
        found = get_schedule(connection, schedule.id)
    assert found is not None
    return found.next_at


def slots(engine: Engine) -> list[datetime]:
    with engine.connect() as connection:
        return list(connection.scalars(select(TASKS.c.slot_at).order_by(TASKS.c.slot_at)))


def test_after_a_clock_that_was_a_day_ahead_no_slot_is_passed_over_and_none_comes_twice(
    engine: Engine,
) -> None:
    schedule = created(engine, plan(missed=Missed.RUN_ONCE))
    # A day ahead: the newest slot that has passed by that clock, once.
    released(engine, NOON + DAY)
    assert (slots(engine), next_at(engine, schedule)) == ([NOON + DAY], NOON + DAY + HOUR)

    assert checked(engine, NOON) == 1
    assert next_at(engine, schedule) == NOON + HOUR
    for hour in range(1, 26):
        released(engine, NOON + hour * HOUR)
    assert slots(engine) == [NOON + hour * HOUR for hour in range(1, 26)]
    assert next_at(engine, schedule) == NOON + 26 * HOUR


def test_a_check_leaves_alone_what_is_right(engine: Engine) -> None:
    hourly = created(engine, plan("hourly"))
    every = created(engine, plan("every", cron=None, every_seconds=90, starts_at=NOON + DAY))
    paused = created(engine, plan("paused", paused=True))

    assert checked(engine, NOON + HOUR / 2) == 0
    # What is due is the releaser's, however late.
    assert checked(engine, NOON + 5 * HOUR) == 0
    assert [next_at(engine, each) for each in (hourly, every, paused)] == [NOON + HOUR, NOON + DAY, None]


def test_a_schedule_that_was_changed_since_it_was_seen_is_left_alone(engine: Engine) -> None:
    schedule = created(engine, plan())
    released(engine, NOON + DAY)
    with engine.begin() as connection:
        seen = find_postponed(connection, SlotScan(NOON, 50))
        connection.execute(update(SCHEDULES).values(next_at=None, paused=True))
        assert bring_forward(connection, [seen.postponed]) == [0]
    assert next_at(engine, schedule) is None


def test_the_check_goes_through_all_in_small_steps(engine: Engine) -> None:
    for number in range(5):
        created(engine, plan(f"s{number}"))
    released(engine, NOON + DAY)
    names, after = list[str](), ""
    with engine.connect() as connection:
        while True:
            seen = find_postponed(connection, SlotScan(NOON, 2, after))
            names += [each.name for each in seen.postponed]
            if seen.after is None:
                break
            after = seen.after
    assert names == [f"s{number}" for number in range(5)]
