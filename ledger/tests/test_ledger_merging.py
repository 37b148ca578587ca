import itertools
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select

from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import LifecycleEvent, LifecycleType
from waybill_ledger import (
    Failure,
    NewTask,
    Submission,
    Task,
    accept,
    apply_events,
    get_task,
    get_timeline,
    new_task_id,
)
from waybill_ledger.schema.tables import TASKS, TIMELINE
from waybill_testkit.samples import ERROR, NOON, new_task, reported, reset_event, user_event

STARTED, RETRYING, SNOOZED, COMPLETED, DEAD = (
    LifecycleType.STARTED,
    LifecycleType.RETRYING,
    LifecycleType.SNOOZED,
    LifecycleType.COMPLETED,
    LifecycleType.DEAD,
)


def accepted(engine: Engine, *tasks: NewTask) -> None:
    with engine.begin() as connection:
        accept(connection, [Submission(task) for task in tasks])


def applied(engine: Engine, *events: LifecycleEvent) -> list[Failure]:
    with engine.begin() as connection:
        return apply_events(connection, events).failures


def found(engine: Engine, task_id: str) -> Task:
    with engine.begin() as connection:
        task = get_task(connection, task_id)
    assert task is not None
    return task


def a_life(task_id: str) -> list[LifecycleEvent]:
    """Both subtasks of a new user: the mail fails once, the record at once and for good."""
    return [
        reported(STARTED, task_id, kind="user.created", seconds_after=1),
        reported(RETRYING, task_id, kind="user.created", seconds_after=2),
        reported(STARTED, task_id, kind="user.created", attempt=2, seconds_after=4),
        reported(COMPLETED, task_id, kind="user.created", attempt=2, seconds_after=5),
        reported(STARTED, task_id, service="sync", kind="user.created", seconds_after=1),
        reported(DEAD, task_id, service="sync", kind="user.created", seconds_after=3),
    ]


def a_life_with_snoozes(task_id: str) -> list[LifecycleEvent]:
    """The same, but the mail's second attempt is put off twice before it begins to act."""

    def mail(type_: LifecycleType, snooze_no: int, second: int) -> LifecycleEvent:
        return reported(
            type_, task_id, kind="user.created", attempt=2, snooze_no=snooze_no, seconds_after=second
        )

    *life, completed = a_life(task_id)[:4]
    put_off = [mail(SNOOZED, 0, 5), mail(STARTED, 1, 7), mail(SNOOZED, 1, 8), mail(STARTED, 2, 10)]
    return [*life, *put_off, completed, *a_life(task_id)[4:]]


def test_a_task_follows_its_subtasks(engine: Engine) -> None:
    task = new_task(user_event())
    accepted(engine, task)
    states = []
    for event in a_life(task.id):
        applied(engine, event)
        states.append(found(engine, task.id).state)
    after = found(engine, task.id)

    assert states == [
        State.RUNNING,
        State.RETRYING,
        State.RUNNING,
        State.RUNNING,
        State.RUNNING,
        State.FAILED,
    ]
    assert (after.completed_at, after.subtasks[0].attempt) == (a_life(task.id)[3].time, 2)
    assert (after.subtasks[0].result, after.subtasks[0].error) == ({"done": True}, None)
    assert after.subtasks[1].error == ERROR.model_dump()


def test_any_order_and_any_repetition_end_in_the_same_rows(engine: Engine) -> None:
    dice = random.Random(7)
    tasks = [new_task(user_event()) for _ in range(20)]
    accepted(engine, *tasks)
    told_anyhow: list[LifecycleEvent] = []
    for task in tasks:
        life = a_life_with_snoozes(task.id)
        told_anyhow += life + dice.sample(life, 3)
    dice.shuffle(told_anyhow)
    # Cut into messages of any size, which fall together into commits of any size.
    while told_anyhow:
        cut = dice.randint(1, 15)
        applied(engine, *told_anyhow[:cut])
        told_anyhow = told_anyhow[cut:]

    in_order = new_task(user_event())
    accepted(engine, in_order)
    for event in a_life_with_snoozes(in_order.id):
        applied(engine, event)

    def facts(task_id: str) -> tuple[object, ...]:
        task = found(engine, task_id)
        with engine.begin() as connection:
            timeline = get_timeline(connection, task_id)
        subtasks = [(s.service, s.state, s.position, s.attempt, s.result, s.error) for s in task.subtasks]
        return task.state, task.completed_at, subtasks, sorted(timeline, key=repr)

    assert {repr(facts(task.id)) for task in tasks} == {repr(facts(in_order.id))}


def test_every_order_of_one_subtask_in_one_message(engine: Engine) -> None:
    orders = list(itertools.permutations(range(4)))  # the steps of the mail
    tasks = [new_task() for _ in orders]
    accepted(engine, *tasks)
    events = [a_life(task.id)[step] for task, order in zip(tasks, orders, strict=True) for step in order]
    applied(engine, *events)

    assert {found(engine, task.id).state for task in tasks} == {State.COMPLETED}


def test_a_snooze_keeps_the_attempt_and_tells_why_and_until_when(engine: Engine) -> None:
    task = new_task()
    accepted(engine, task)
    applied(
        engine,
        reported(STARTED, task.id),
        reported(SNOOZED, task.id),
        reported(SNOOZED, task.id, snooze_no=1),
    )
    after = found(engine, task.id)
    (subtask,) = after.subtasks
    with engine.begin() as connection:
        timeline = get_timeline(connection, task.id)

    assert (after.state, subtask.attempt, subtask.error) == (State.RETRYING, 1, ERROR.model_dump())
    assert subtask.next_attempt_at == NOON + timedelta(seconds=2)
    assert [(entry.type, entry.details.get("snooze_no")) for entry in timeline] == [
        ("task.started", None),
        ("task.snoozed", None),
        ("task.snoozed", 1),
    ]


def test_the_timeline_has_each_fact_once_and_in_order(engine: Engine) -> None:
    task = new_task(user_event())
    accepted(engine, task)
    applied(engine, *reversed(a_life(task.id)))
    applied(engine, *a_life(task.id))
    with engine.begin() as connection:
        timeline = get_timeline(connection, task.id)

    assert [(e.service, e.attempt, e.type) for e in timeline if e.service == "email"] == [
        ("email", 1, "task.started"),
        ("email", 1, "task.retrying"),
        ("email", 2, "task.started"),
        ("email", 2, "task.completed"),
    ]
    assert [entry.at for entry in timeline] == sorted(entry.at for entry in timeline)
    assert timeline[-1].details == {"max_attempts": 4, "seconds": 0.5, "result": {"done": True}}


def test_events_of_unknown_tasks_are_named_and_the_others_applied(engine: Engine) -> None:
    task, unknown = new_task(), new_task_id()
    accepted(engine, task)
    with engine.begin() as connection:
        merged = apply_events(connection, [reported(STARTED, unknown), reported(STARTED, task.id)])

    assert merged.unknown == {unknown}
    assert found(engine, task.id).state is State.RUNNING


def test_an_event_of_a_service_that_has_no_part_in_the_task_changes_nothing(engine: Engine) -> None:
    task = new_task()
    accepted(engine, task)
    applied(engine, reported(DEAD, task.id, service="images"))

    assert found(engine, task.id).state is State.PENDING


def test_no_events_at_all(engine: Engine) -> None:
    assert applied(engine) == []


def test_a_failure_is_told_once_however_often_it_is_reported(engine: Engine) -> None:
    task = new_task(about="Ann", correlation_id="order-7")
    accepted(engine, task)
    death = reported(DEAD, task.id, attempt=3, seconds_after=9)
    (failure,) = applied(engine, reported(STARTED, task.id), death, death)

    assert failure == Failure(task.id, "email.requested", "Ann", "order-7", death.data, death.time)
    assert applied(engine, death) == []
    assert applied(engine, reported(DEAD, task.id, attempt=4)) == []


def test_a_failure_is_told_again_after_a_redrive(engine: Engine) -> None:
    task = new_task()
    accepted(engine, task)
    applied(engine, reported(DEAD, task.id))
    applied(engine, reported(STARTED, task.id, redrive_no=1))
    reopened = found(engine, task.id)
    (failure,) = applied(engine, reported(DEAD, task.id, redrive_no=1))

    assert (reopened.state, reopened.completed_at) == (State.RUNNING, None)
    assert failure.data.redrive_no == 1


def test_each_subtask_tells_its_own_failure(engine: Engine) -> None:
    task = new_task(user_event())
    accepted(engine, task)
    deaths = [reported(DEAD, task.id, service=service, kind="user.created") for service in ("email", "sync")]

    assert {failure.data.service for failure in applied(engine, *deaths)} == {"email", "sync"}


def payloads(engine: Engine) -> dict[str, bytes | None]:
    with engine.connect() as connection:
        return {row.id: row.payload for row in connection.execute(select(TASKS.c.id, TASKS.c.payload))}


@pytest.mark.parametrize(("type_", "kept"), [(STARTED, True), (DEAD, True), (COMPLETED, False)])
def test_a_secret_is_forgotten_when_it_has_served(engine: Engine, type_: LifecycleType, kept: bool) -> None:  # noqa: FBT001 - a test's parameter
    secret, plain = new_task(reset_event()), new_task()
    accepted(engine, secret, plain)
    applied(engine, *(reported(type_, task.id, kind=task.kind) for task in (secret, plain)))

    assert (payloads(engine)[secret.id] is not None) is kept
    assert payloads(engine)[plain.id] is not None


def test_two_writers_on_the_subtasks_of_the_same_tasks(engine: Engine) -> None:
    """Pain: fan-in never completes (celery 9674, celery 4084)."""
    tasks = [new_task(user_event()) for _ in range(15)]
    accepted(engine, *tasks)
    together = threading.Barrier(2)

    def write(service: str, order: Sequence[NewTask]) -> None:
        for task in order:
            together.wait()
            applied(engine, reported(COMPLETED, task.id, service=service, kind="user.created"))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ["email", "sync"], [tasks, tasks]))

    assert {found(engine, task.id).state for task in tasks} == {State.COMPLETED}


def test_two_writers_with_many_tasks_in_opposite_order_do_not_wait_for_each_other(engine: Engine) -> None:
    tasks = [new_task(user_event()) for _ in range(50)]
    accepted(engine, *tasks)
    together = threading.Barrier(2)

    def write(service: str, order: Sequence[NewTask]) -> None:
        together.wait()
        applied(engine, *(reported(COMPLETED, t.id, service=service, kind="user.created") for t in order))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ["email", "sync"], [tasks, tasks[::-1]]))

    assert {found(engine, task.id).state for task in tasks} == {State.COMPLETED}


def test_thousands_of_events_in_one_commit(engine: Engine) -> None:
    tasks = [new_task() for _ in range(2500)]
    for start in range(0, len(tasks), 500):
        accepted(engine, *tasks[start : start + 500])
    applied(engine, *(reported(type_, task.id) for task in tasks for type_ in (STARTED, COMPLETED)))
    with engine.connect() as connection:
        states = set(connection.scalars(select(TASKS.c.state)))
        facts = len(connection.execute(select(TIMELINE.c.seq)).all())

    assert states == {State.COMPLETED}
    assert facts == 5000


def test_times_are_kept_exactly(engine: Engine) -> None:
    task = new_task()
    accepted(engine, task)
    applied(engine, reported(COMPLETED, task.id, seconds_after=0.123456))
    completed_at = found(engine, task.id).completed_at

    assert completed_at is not None
    assert (completed_at - NOON).total_seconds() == 0.123456
