"""Progress of attempts in the ledger: the latest of what runs, one entry of the timeline for each attempt."""

import random

import pytest
from sqlalchemy import Engine

from waybill_contracts.wire.lifecycle import LifecycleEvent, LifecycleType
from waybill_ledger import (
    NewTask,
    Progress,
    Submission,
    Task,
    TaskFilter,
    TimelineEntry,
    accept,
    apply_events,
    get_task,
    get_timeline,
    list_tasks,
)
from waybill_testkit.samples import NOON, new_task, reported, user_event

STARTED, PROGRESS, COMPLETED = LifecycleType.STARTED, LifecycleType.PROGRESS, LifecycleType.COMPLETED


@pytest.fixture
def task(engine: Engine) -> NewTask:
    task = new_task(user_event())
    with engine.begin() as connection:
        accept(connection, [Submission(task)])
    return task


def applied(engine: Engine, *events: LifecycleEvent) -> None:
    with engine.begin() as connection:
        apply_events(connection, events)


def found(engine: Engine, task: NewTask) -> Task:
    with engine.begin() as connection:
        shown = get_task(connection, task.id)
        listed = list_tasks(connection, TaskFilter(id=task.id), limit=1, cursor=None).tasks
    assert [shown] == listed
    assert shown is not None
    return shown


def told(engine: Engine, task: NewTask) -> list[TimelineEntry]:
    with engine.begin() as connection:
        return [entry for entry in get_timeline(connection, task.id) if entry.type == PROGRESS]


def page(number: int, task: NewTask, *, attempt: int = 1, snooze_no: int = 0) -> LifecycleEvent:
    return reported(
        PROGRESS,
        task.id,
        kind=task.kind,
        attempt=attempt,
        snooze_no=snooze_no,
        seconds_after=number,
        text=f"page {number}",
    )


def test_the_latest_of_what_runs_is_shown_and_is_one_entry_of_the_timeline(
    engine: Engine, task: NewTask
) -> None:
    applied(engine, reported(STARTED, task.id, kind=task.kind))
    assert found(engine, task).progress == {}
    applied(engine, page(1, task))
    applied(engine, page(2, task), page(4, task), page(3, task))
    applied(engine, page(1, task))
    latest = page(4, task).time

    assert found(engine, task).progress == {"email": Progress(0.5, "page 4", latest)}
    assert [(entry.at, entry.details["progress"]) for entry in told(engine, task)] == [
        (latest, {"share": 0.5, "text": "page 4"})
    ]


def test_an_unknown_share_stays_unknown(engine: Engine, task: NewTask) -> None:
    known = page(1, task)
    progress = known.data.progress
    assert progress is not None
    unknown = known.data.model_copy(update={"progress": progress.model_copy(update={"share": None})})
    applied(engine, known.model_copy(update={"data": unknown}))

    assert found(engine, task).progress == {"email": Progress(None, "page 1", known.time)}


def test_each_attempt_begins_without_any(engine: Engine, task: NewTask) -> None:
    applied(engine, reported(STARTED, task.id, kind=task.kind), page(1, task))
    applied(engine, reported(LifecycleType.RETRYING, task.id, kind=task.kind, seconds_after=2))
    waiting = found(engine, task).progress
    applied(engine, reported(STARTED, task.id, kind=task.kind, attempt=2, seconds_after=5))
    again = found(engine, task).progress
    applied(engine, page(6, task, attempt=2))

    assert (waiting, again) == ({}, {})
    assert found(engine, task).progress["email"].text == "page 6"
    assert [(entry.attempt, entry.details["progress"]["text"]) for entry in told(engine, task)] == [
        (1, "page 1"),
        (2, "page 6"),
    ]


def test_late_progress_changes_no_outcome(engine: Engine, task: NewTask) -> None:
    applied(engine, *(reported(COMPLETED, task.id, kind=task.kind, service=s) for s in ("email", "sync")))
    ended = found(engine, task)
    applied(engine, page(30, task))

    assert found(engine, task) == ended
    assert ended.completed_at == NOON
    assert [entry.details["progress"]["text"] for entry in told(engine, task)] == ["page 30"]


def test_any_order_ends_in_the_same_rows(engine: Engine) -> None:
    dice = random.Random(11)
    tasks = [new_task(user_event()) for _ in range(20)]
    with engine.begin() as connection:
        accept(connection, [Submission(task) for task in tasks])
    for task in tasks:
        life = [
            reported(STARTED, task.id, kind=task.kind),
            *(page(number, task) for number in range(1, 4)),
            reported(LifecycleType.SNOOZED, task.id, kind=task.kind, seconds_after=4),
            reported(STARTED, task.id, kind=task.kind, snooze_no=1, seconds_after=6),
            *(page(number, task, snooze_no=1) for number in range(7, 9)),
        ]
        anyhow = life + dice.sample(life, 4)
        dice.shuffle(anyhow)
        while anyhow:
            cut = dice.randint(1, 5)
            applied(engine, *anyhow[:cut])
            anyhow = anyhow[cut:]

    shown = {repr((found(engine, task).progress, told(engine, task))) for task in tasks}
    assert len(shown) == 1
    assert found(engine, tasks[0]).progress["email"].text == "page 8"
