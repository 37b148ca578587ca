from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from waybill_ledger import (
    BadCursorError,
    Change,
    ChangedMeanwhileError,
    Created,
    CreatedBefore,
    KeyReusedError,
    NameTakenError,
    NewSchedule,
    Plan,
    Schedule,
    TooManySchedulesError,
    change_schedules,
    create_schedules,
    delete_schedules,
    get_schedule,
    list_schedules,
    new_task_id,
)
from waybill_testkit.samples import NOON, keyed, plan

HOUR = timedelta(hours=1)


def wish(of: Plan, most: int = 100, **fields: Any) -> NewSchedule:
    return NewSchedule(new_task_id(), of, NOON, most, **fields)


def create(engine: Engine, *wishes: NewSchedule) -> list[Any]:
    with engine.begin() as connection:
        return list(create_schedules(connection, wishes))


def created(engine: Engine, of: Plan) -> Schedule:
    (answer,) = create(engine, wish(of))
    assert isinstance(answer, Created)
    return answer.schedule


def change(engine: Engine, schedule: Schedule, now: datetime, **fields: Any) -> Schedule:
    wanted = Change(schedule.id, schedule.version, replace(schedule.plan, **fields), now)
    with engine.begin() as connection:
        (answer,) = change_schedules(connection, [wanted])
    assert isinstance(answer, Schedule)
    return answer


def test_what_is_made_is_what_is_found(engine: Engine) -> None:
    every = plan("every", cron=None, every_seconds=90, starts_at=NOON + HOUR, ends_at=NOON + 2 * HOUR)
    schedule = created(engine, every)
    with engine.connect() as connection:
        found = get_schedule(connection, schedule.id)

    assert found == schedule
    assert found.plan == every
    assert (found.next_at, found.version, found.last_slot_at, found.error) == (NOON + HOUR, 1, None, None)
    assert created(engine, plan()).next_at == NOON + HOUR


def test_a_name_is_taken_once_and_there_are_no_more_than_may_be(engine: Engine) -> None:
    first, again = create(engine, wish(plan("a")), wish(plan("a")))
    (full,) = create(engine, wish(plan("b"), most=1))

    assert isinstance(first, Created)
    assert isinstance(again, NameTakenError)
    assert isinstance(full, TooManySchedulesError)
    assert isinstance(create(engine, wish(plan("b"), most=2))[0], Created)


def test_a_repeated_call_makes_one_schedule(engine: Engine) -> None:
    call = keyed("k", scope="POST /v1/schedules")
    (made,), (repeated,) = (create(engine, wish(plan("a"), call=call)) for _ in range(2))
    (reused,) = create(engine, wish(plan("b"), call=keyed("k", "other", "POST /v1/schedules")))

    assert isinstance(made, Created)
    assert repeated == CreatedBefore(made.schedule)
    assert isinstance(reused, KeyReusedError)
    with engine.begin() as connection:
        assert delete_schedules(connection, [made.schedule.id]) == [True]
    assert create(engine, wish(plan("a"), call=call)) == [CreatedBefore(None)]


def test_a_call_that_was_refused_may_be_made_again_with_its_key(engine: Engine) -> None:
    taken = created(engine, plan("a"))
    call = keyed("k", scope="POST /v1/schedules")
    (refused,) = create(engine, wish(plan("a"), call=call))
    assert isinstance(refused, NameTakenError)
    with engine.begin() as connection:
        delete_schedules(connection, [taken.id])

    assert isinstance(create(engine, wish(plan("a"), call=call))[0], Created)


def test_a_change_of_what_is_posted_leaves_the_next_slot_alone(engine: Engine) -> None:
    schedule = created(engine, plan())
    changed = change(engine, schedule, NOON + 5 * HOUR, body={"other": 1}, about="bob@example.test")

    assert (changed.plan.body, changed.version) == ({"other": 1}, 2)
    # Due and not released yet: that is not forgotten.
    assert changed.next_at == NOON + HOUR


def test_another_time_counts_from_now_on(engine: Engine) -> None:
    schedule = created(engine, plan())
    changed = change(engine, schedule, NOON + timedelta(minutes=5), cron="*/10 * * * *")

    assert changed.next_at == NOON + timedelta(minutes=10)


def test_a_paused_schedule_has_no_next_slot_and_misses_none(engine: Engine) -> None:
    schedule = created(engine, plan(paused=True))
    assert schedule.next_at is None
    resumed = change(engine, schedule, NOON + 5 * HOUR + timedelta(minutes=1), paused=False)
    assert resumed.next_at == NOON + 6 * HOUR
    assert change(engine, resumed, NOON + 6 * HOUR, paused=True).next_at is None


def test_of_two_changes_of_the_same_version_one_is_refused(engine: Engine) -> None:
    schedule = created(engine, plan())
    wanted = Change(schedule.id, schedule.version, replace(schedule.plan, paused=True), NOON)
    with engine.begin() as connection:
        first, second = change_schedules(connection, [wanted, wanted])
        (unknown,) = change_schedules(connection, [replace(wanted, id=new_task_id())])

    assert isinstance(first, Schedule)
    assert isinstance(second, ChangedMeanwhileError)
    assert isinstance(unknown, ChangedMeanwhileError)


def test_pages_are_newest_first_and_a_name_finds_its_own(engine: Engine) -> None:
    made = [created(engine, plan(f"s{n}")) for n in range(5)]
    seen: list[Schedule] = []
    cursor = None
    with engine.connect() as connection:
        while True:
            page = list_schedules(connection, name=None, limit=2, cursor=cursor)
            seen += page.schedules
            cursor = page.next_cursor
            if cursor is None:
                break
        assert [s.id for s in seen] == [s.id for s in reversed(made)]
        named = list_schedules(connection, name="s3", limit=2, cursor=None)
        assert named.schedules == [made[3]]
        with pytest.raises(BadCursorError):
            list_schedules(connection, name=None, limit=2, cursor="x")


def test_what_is_deleted_is_gone(engine: Engine) -> None:
    schedule = created(engine, plan())
    with engine.begin() as connection:
        assert delete_schedules(connection, [schedule.id, schedule.id]) == [True, False]
        assert get_schedule(connection, schedule.id) is None
