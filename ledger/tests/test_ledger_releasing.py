"""Slots become tasks: each once, whoever releases them and whenever they die."""

import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.kinds.users import UserCreated
from waybill_contracts.privacy.seal import NO_KEYS
from waybill_contracts.registry import built_in_registry
from waybill_contracts.states import State
from waybill_ledger import (
    LOW_PRIORITY,
    Cancellation,
    Change,
    Created,
    Missed,
    NewSchedule,
    Plan,
    Release,
    ReleaseBatch,
    Schedule,
    Stopping,
    Sweep,
    TaskFilter,
    cancel,
    change_schedules,
    create_schedules,
    get_schedule,
    get_task,
    held_routing_keys,
    list_tasks,
    new_task_id,
    outlook,
    release_due,
    take_due,
)
from waybill_ledger.schema.tables import OUTBOX, SCHEDULES, TASKS
from waybill_testkit.samples import NOON, event_in, plan

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def created(engine: Engine, *plans: Plan, now: datetime = NOON) -> list[Schedule]:
    wishes = [NewSchedule(new_task_id(), each, now, 10_000) for each in plans]
    with engine.begin() as connection:
        answers = create_schedules(connection, wishes)
    return [answer.schedule for answer in answers if isinstance(answer, Created)]


def released(engine: Engine, now: datetime, most: int = 100) -> list[Release]:
    with engine.begin() as connection:
        (releases,) = release_due(connection, [ReleaseBatch(now, most, NO_KEYS, built_in_registry())])
    return releases


def slots(engine: Engine, schedule: Schedule) -> list[datetime]:
    query = select(TASKS.c.slot_at).where(TASKS.c.schedule_id == schedule.id).order_by(TASKS.c.id)
    with engine.connect() as connection:
        return list(connection.scalars(query))


def now_of(engine: Engine, schedule: Schedule) -> Schedule:
    with engine.connect() as connection:
        found = get_schedule(connection, schedule.id)
    assert found is not None
    return found


def test_a_slot_is_released_at_its_time_as_a_task_like_any_other(engine: Engine) -> None:
    (schedule,) = created(engine, plan())
    with engine.connect() as connection:
        assert outlook(connection).slot_at == NOON + HOUR
    assert released(engine, NOON + HOUR - timedelta(microseconds=1)) == []

    ((release),) = released(engine, NOON + HOUR)
    (new,) = release.tasks
    assert released(engine, NOON + HOUR) == []
    with engine.begin() as connection:
        task = get_task(connection, new.id)
        ((message,),) = take_due(connection, [Sweep(NOON + HOUR, NOON + 2 * HOUR, 10)])
    assert task is not None
    assert (task.state, task.kind, task.about) == (State.PENDING, EmailRequested.KIND, "ann@example.test")
    assert (task.schedule_id, task.slot_at, task.correlation_id) == (schedule.id, NOON + HOUR, "nightly")
    assert message.envelope.task_id == task.id
    assert EmailRequested.model_validate_json(message.body).subject == "Hello"
    after = now_of(engine, schedule)
    assert (after.next_at, after.last_slot_at, after.version) == (NOON + 2 * HOUR, NOON + HOUR, 1)


@pytest.mark.parametrize(
    ("missed", "run"),
    [
        (Missed.SKIP, []),
        (Missed.RUN_ONCE, [9]),
        (Missed.RUN_ALL, [7, 8, 9]),
    ],
)
def test_what_was_missed_is_made_up_for_as_the_schedule_says(
    engine: Engine, missed: Missed, run: list[int]
) -> None:
    (schedule,) = created(engine, plan(missed=missed, missed_limit=3))
    # Nobody was there for nine slots.
    (release,) = released(engine, NOON + 9 * HOUR + 2 * MINUTE)

    assert slots(engine, schedule) == [NOON + n * HOUR for n in run]
    assert release.has_skipped
    assert now_of(engine, schedule).next_at == NOON + 10 * HOUR
    (punctual,) = released(engine, NOON + 10 * HOUR + MINUTE)
    assert slots(engine, schedule)[-1] == NOON + 10 * HOUR
    assert not punctual.has_skipped


def test_all_that_was_missed_is_run_if_there_is_no_more_than_the_limit(engine: Engine) -> None:
    (schedule,) = created(engine, plan(missed=Missed.RUN_ALL, missed_limit=100))
    (release,) = released(engine, NOON + 30 * HOUR)

    assert slots(engine, schedule) == [NOON + n * HOUR for n in range(1, 31)]
    assert not release.has_skipped


def test_a_schedule_that_is_over_has_no_next_slot(engine: Engine) -> None:
    (schedule,) = created(engine, plan(ends_at=NOON + 2 * HOUR))
    released(engine, NOON + HOUR)
    released(engine, NOON + 2 * HOUR)

    assert now_of(engine, schedule).next_at is None
    assert released(engine, NOON + 99 * HOUR) == []
    assert len(slots(engine, schedule)) == 2


def test_a_paused_schedule_makes_nothing(engine: Engine) -> None:
    created(engine, plan(paused=True))

    assert released(engine, NOON + 9 * HOUR) == []


def test_low_work_of_a_schedule_is_held_like_any_other(engine: Engine) -> None:
    created(engine, plan(priority=LOW_PRIORITY))
    released(engine, NOON + HOUR)
    with engine.begin() as connection:
        assert held_routing_keys(connection) == [EmailRequested.KIND]
        assert take_due(connection, [Sweep(NOON + 2 * HOUR, NOON + 3 * HOUR, 10)]) == [[]]


def test_tasks_are_found_by_their_schedule_and_cancelled_as_any(engine: Engine) -> None:
    first, second = created(engine, plan("a"), plan("b"))
    released(engine, NOON + HOUR)
    with engine.begin() as connection:
        page = list_tasks(connection, TaskFilter(schedule=second.id), limit=10, cursor=None)
        (task,) = page.tasks
        assert task.schedule_id == second.id != first.id
        assert isinstance(cancel(connection, [Cancellation(task.id, NOON)])[0], Stopping)


@pytest.mark.parametrize("user_id", [None, "ann-1"])
def test_a_user_without_an_id_gets_that_of_the_task(engine: Engine, user_id: str | None) -> None:
    body = {"email": "ann@example.test", "name": "Ann"} | ({"id": user_id} if user_id else {})
    created(engine, plan(kind=UserCreated.KIND, body=body))
    (release,) = released(engine, NOON + HOUR)
    event = event_in(release.tasks[0])

    assert isinstance(event, UserCreated)
    assert event.user_id == (user_id or release.tasks[0].id)


def test_a_body_that_its_contract_allows_no_more_pauses_its_schedule_and_no_other(engine: Engine) -> None:
    broken, sound = created(engine, plan("a", body={"subject": "s3cret"}), plan("b"))
    releases = released(engine, NOON + HOUR)
    after = now_of(engine, broken)

    assert {release.schedule.id for release in releases} == {broken.id, sound.id}
    assert (after.plan.paused, after.next_at, slots(engine, broken)) == (True, None, [])
    assert after.error is not None
    assert "to: " in after.error
    assert "s3cret" not in after.error
    assert len(slots(engine, sound)) == 1


def test_no_second_task_of_one_slot_can_be_written(engine: Engine) -> None:
    (schedule,) = created(engine, plan())
    released(engine, NOON + HOUR)
    with engine.connect() as connection:
        row = connection.execute(select(TASKS)).one()._asdict()

    with engine.begin() as connection, pytest.raises(IntegrityError):
        connection.execute(insert(TASKS), [row | {"id": new_task_id()}])
    # And if its schedule is put back, nothing is released twice.
    with engine.begin() as connection:
        connection.execute(update(SCHEDULES).values(next_at=NOON + HOUR))
    assert [release.tasks for release in released(engine, NOON + HOUR)] == [()]
    assert len(slots(engine, schedule)) == 1
    assert now_of(engine, schedule).next_at == NOON + 2 * HOUR


def test_a_change_of_time_never_goes_back_before_what_was_released(engine: Engine) -> None:
    (schedule,) = created(engine, plan())
    released(engine, NOON + HOUR)
    # The clock of whoever changes it is behind.
    change = Change(schedule.id, 1, plan(cron="*/30 * * * *"), NOON)
    with engine.begin() as connection:
        (changed,) = change_schedules(connection, [change])

    assert isinstance(changed, Schedule)
    assert changed.next_at == NOON + HOUR + timedelta(minutes=30)


def test_two_releasers_racing_release_every_slot_once(engine: Engine) -> None:
    schedules = created(engine, *(plan(f"s{n}", cron="* * * * *") for n in range(20)))
    minutes = 15
    together = threading.Barrier(2)

    def release_all(_: int) -> int:
        count = 0
        for minute in range(1, minutes + 1):
            together.wait()
            while releases := released(engine, NOON + minute * MINUTE, most=3):
                count += len(releases)
        return count

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(release_all, range(2))
    # On PostgreSQL one may have passed over what the other held.
    third = len(released(engine, NOON + minutes * MINUTE))

    with engine.connect() as connection:
        counted = Counter(connection.execute(select(TASKS.c.schedule_id, TASKS.c.slot_at)).all())
        rows = len(connection.execute(select(OUTBOX.c.id)).all())
    expected = {(s.id, NOON + minute * MINUTE) for s in schedules for minute in range(1, minutes + 1)}
    assert set(counted) == expected
    assert set(counted.values()) == {1}
    assert first + second + third == rows == len(expected)


DYING = """
import sys
from datetime import datetime
from time import sleep
from waybill_contracts.privacy.seal import NO_KEYS
from waybill_database import open_engine
from waybill_contracts.registry import built_in_registry
from waybill_ledger import ReleaseBatch, release_due

url, now, after_commit = sys.argv[1], datetime.fromisoformat(sys.argv[2]), sys.argv[3] == "after"
with open_engine(url, connections=1).begin() as connection:
    (releases,) = release_due(connection, [ReleaseBatch(now, 100, NO_KEYS, built_in_registry())])
    if not after_commit:
        print(len(releases), flush=True)
        sleep(600)
print(len(releases), flush=True)
sleep(600)
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_releaser_killed_around_its_commit_neither_loses_nor_doubles_a_slot(
    engine: Engine, ledger_url: str, moment: str
) -> None:
    schedules = created(engine, *(plan(f"s{n}") for n in range(5)))
    due = NOON + HOUR
    command: list[Any] = [sys.executable, "-c", DYING, ledger_url, due.isoformat(), moment]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as releaser:
        assert releaser.stdout is not None
        assert releaser.stdout.readline() == "5\n"
        releaser.kill()

    # PostgreSQL lets go of a dead client's locks when it notices.
    deadline = monotonic() + 30
    while any(not slots(engine, schedule) for schedule in schedules) and monotonic() < deadline:
        released(engine, due)
        sleep(0.05)
    assert [slots(engine, schedule) for schedule in schedules] == [[due]] * 5
