import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_ledger import (
    NewTask,
    PendingMessage,
    Submission,
    Sweep,
    accept,
    apply_events,
    delete_published,
    get_task,
    outlook,
    put_back,
    take_due,
)
from waybill_ledger.outbox.outbox import RELAY_GRACE
from waybill_testkit.samples import NOON, new_task, reported, reset_event

TAKEN_FOR = timedelta(minutes=1)
LATER = NOON + RELAY_GRACE


def accepted(engine: Engine, *tasks: NewTask) -> None:
    with engine.begin() as connection:
        accept(connection, [Submission(task) for task in tasks])


def swept(engine: Engine, now: datetime, most: int = 100) -> list[PendingMessage]:
    with engine.begin() as connection:
        (messages,) = take_due(connection, [Sweep(now, now + TAKEN_FOR, most)])
    return messages


def ids(messages: list[PendingMessage]) -> list[str]:
    return [message.envelope.task_id for message in messages]


def test_a_row_is_the_gateways_own_for_a_while(engine: Engine) -> None:
    task = new_task()
    accepted(engine, task)

    assert swept(engine, LATER - timedelta(microseconds=1)) == []
    assert ids(swept(engine, LATER)) == [task.id]


def test_what_is_taken_is_nobody_elses_until_its_time_is_over(engine: Engine) -> None:
    task = new_task()
    accepted(engine, task)
    swept(engine, LATER)

    assert swept(engine, LATER + TAKEN_FOR - timedelta(seconds=1)) == []
    assert ids(swept(engine, LATER + TAKEN_FOR)) == [task.id]


def test_what_is_published_is_forgotten(engine: Engine) -> None:
    first, second = new_task(), new_task()
    accepted(engine, first, second)
    taken = swept(engine, LATER)
    with engine.begin() as connection:
        published = [m.outbox_id for m in taken if m.envelope.task_id == first.id]
        delete_published(connection, [published, [], published])

    assert ids(swept(engine, LATER + TAKEN_FOR)) == [second.id]


def test_what_failed_is_due_again_when_it_is_said(engine: Engine) -> None:
    task = new_task()
    accepted(engine, task)
    taken = swept(engine, LATER)
    again = LATER + timedelta(seconds=1)
    with engine.begin() as connection:
        put_back(connection, [([m.outbox_id for m in taken], again)])
        due = outlook(connection).outbox_at

    assert due == again
    assert swept(engine, again - timedelta(microseconds=1)) == []
    assert ids(swept(engine, again)) == [task.id]


def test_the_oldest_come_first_and_no_more_than_asked_for(engine: Engine) -> None:
    tasks = [new_task(created_at=NOON - timedelta(seconds=n)) for n in range(5)]
    accepted(engine, *tasks)

    assert ids(swept(engine, LATER, most=2)) == [tasks[4].id, tasks[3].id]
    assert ids(swept(engine, LATER, most=2)) == [tasks[2].id, tasks[1].id]


def test_an_empty_outbox_is_never_due(engine: Engine) -> None:
    with engine.begin() as connection:
        assert outlook(connection).outbox_at is None
    assert swept(engine, LATER) == []


def test_a_scheduled_task_is_released_when_it_is_due(engine: Engine) -> None:
    due_at = NOON + timedelta(days=3)
    task, other = new_task(due_at=due_at), new_task(due_at=due_at + timedelta(days=1))
    accepted(engine, task, other)

    assert swept(engine, due_at - timedelta(seconds=1)) == []
    assert ids(swept(engine, due_at)) == [task.id]
    with engine.begin() as connection:
        released, waiting = get_task(connection, task.id), get_task(connection, other.id)
        assert outlook(connection).outbox_at == due_at + TAKEN_FOR
    assert released is not None
    assert waiting is not None
    assert (released.state, released.subtasks[0].state) == (State.PENDING, State.PENDING)
    assert released.subtasks[0].next_attempt_at is None
    assert (waiting.state, waiting.subtasks[0].state) == (State.SCHEDULED, State.SCHEDULED)


def test_a_row_that_is_taken_again_does_not_turn_back_what_has_begun(engine: Engine) -> None:
    task = new_task(due_at=NOON)
    accepted(engine, task)
    swept(engine, NOON)
    with engine.begin() as connection:
        apply_events(connection, [reported(LifecycleType.STARTED, task.id)])
    swept(engine, NOON + TAKEN_FOR)
    with engine.begin() as connection:
        found = get_task(connection, task.id)

    assert found is not None
    assert (found.state, found.subtasks[0].state) == (State.RUNNING, State.RUNNING)


def test_a_secret_that_was_forgotten_is_not_published_without_its_body(engine: Engine) -> None:
    # The gateway published it and died before it could say so; meanwhile the mail was sent.
    secret, plain = new_task(reset_event()), new_task()
    accepted(engine, secret, plain)
    with engine.begin() as connection:
        done = [reported(LifecycleType.COMPLETED, task.id, kind=task.kind) for task in (secret, plain)]
        apply_events(connection, done)
    messages = swept(engine, LATER)

    # The other one is published a second time, and its service's inbox drops it.
    assert ids(messages) == [plain.id]
    assert all(message.body for message in messages)


def test_two_sweepers_at_once_never_take_the_same(engine: Engine) -> None:
    tasks = [new_task() for _ in range(60)]
    accepted(engine, *tasks)
    together = threading.Barrier(2)

    def sweep_until_nothing_is_left() -> list[str]:
        together.wait()
        taken: list[str] = []
        while batch := swept(engine, LATER, most=7):
            taken += ids(batch)
        return taken

    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(sweep_until_nothing_is_left) for _ in range(2))
        taken = first.result() + second.result()

    assert sorted(taken) == sorted(task.id for task in tasks)


def test_a_sweep_does_not_wait_for_another_on_postgresql(engine: Engine) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer")
    tasks = [new_task(created_at=NOON + timedelta(microseconds=n)) for n in range(4)]
    accepted(engine, *tasks)
    with engine.begin() as connection:
        ((first, second),) = take_due(connection, [Sweep(LATER + TAKEN_FOR, LATER + 2 * TAKEN_FOR, 2)])
        # The first sweep has not committed yet.
        others = swept(engine, LATER + TAKEN_FOR)

    assert ids([first, second]) == [tasks[0].id, tasks[1].id]
    assert ids(others) == [tasks[2].id, tasks[3].id]


def test_a_late_confirm_deletes_no_row_of_another_task(engine: Engine) -> None:
    accepted(engine, new_task())
    (first,) = swept(engine, LATER)
    with engine.begin() as connection:
        delete_published(connection, [[first.outbox_id]])
    second = new_task()
    accepted(engine, second)

    with engine.begin() as connection:
        delete_published(connection, [[first.outbox_id]])

    assert ids(swept(engine, LATER)) == [second.id]
