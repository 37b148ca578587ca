from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Engine, delete, select

from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_ledger import (
    Measures,
    NewTask,
    OverdueSearch,
    Range,
    StallTimeouts,
    Submission,
    Sweep,
    accept,
    apply_events,
    delete_published,
    measure,
    open_work,
    put_back,
    reconcile,
    take_due,
)
from waybill_ledger.outbox import unpublished_of
from waybill_ledger.schema.tables import OUTBOX, SUBTASKS
from waybill_testkit.samples import NOON, new_task, reported, user_event

MINUTE = timedelta(minutes=1)
PATIENCE = StallTimeouts(pending=MINUTE, running=15 * MINUTE, retrying=2 * MINUTE)


def accepted(engine: Engine, *tasks: NewTask, is_published: bool = True) -> None:
    with engine.begin() as connection:
        accept(connection, [Submission(task) for task in tasks])
        if is_published:
            delete_published(connection, [list(connection.scalars(select(OUTBOX.c.id)))])


def measured(engine: Engine, after: timedelta = MINUTE) -> Measures:
    with engine.begin() as connection:
        return measure(connection, Range(NOON + after, PATIENCE))


def test_an_empty_ledger_is_well(engine: Engine) -> None:
    measures = measured(engine)
    assert measures.bytes > 0
    assert replace(measures, bytes=0) == Measures()


def test_the_oldest_finished_task_of_each_state_is_told(engine: Engine) -> None:
    tasks = [new_task(created_at=NOON + timedelta(days=day)) for day in range(3)]
    accepted(engine, *tasks, new_task(created_at=NOON - timedelta(days=1)))
    with engine.begin() as connection:
        apply_events(connection, [reported(LifecycleType.COMPLETED, task.id) for task in tasks[:2]])
        apply_events(connection, [reported(LifecycleType.DEAD, tasks[2].id)])

    assert measured(engine).oldest_finished == {
        State.COMPLETED: NOON,
        State.FAILED: NOON + timedelta(days=2),
    }


def test_open_subtasks_are_counted_by_service_and_state_and_ended_ones_are_not(engine: Engine) -> None:
    ended, open_ = new_task(), new_task(user_event())
    accepted(engine, ended, open_)
    with engine.begin() as connection:
        apply_events(
            connection,
            [
                reported(LifecycleType.COMPLETED, ended.id),
                reported(LifecycleType.STARTED, open_.id, service="sync", kind=open_.kind),
            ],
        )
    measures = measured(engine)

    assert dict(measures.open) == {"email": {State.PENDING: 1}, "sync": {State.RUNNING: 1}}
    assert measures.oldest_pending == {"email": NOON}
    assert measures.unplaced == 0


def test_what_has_not_reached_the_broker_is_told_with_its_age(engine: Engine) -> None:
    accepted(engine, new_task(), is_published=False)
    assert measured(engine).oldest_unpublished == NOON
    # A sweep that fails for ever, because the broker is away, makes it no younger.
    with engine.begin() as connection:
        taken = take_due(connection, [Sweep(NOON + MINUTE, NOON + 2 * MINUTE, 10)])[0]
        put_back(connection, [([message.outbox_id for message in taken], NOON + 2 * MINUTE)])
    measures = measured(engine, 2 * MINUTE)

    assert (measures.unpublished, measures.oldest_unpublished) == (1, NOON)


def test_a_task_that_is_not_due_is_not_late(engine: Engine) -> None:
    accepted(engine, new_task(due_at=NOON + timedelta(seconds=90)), is_published=False)
    assert measured(engine).unpublished == 0
    assert measured(engine, 2 * MINUTE).oldest_unpublished == NOON + timedelta(seconds=90)


def test_what_was_put_back_counts_until_there_is_a_sign_of_life(engine: Engine) -> None:
    task = new_task()
    accepted(engine, task)
    with engine.begin() as connection:
        reconcile(connection, [OverdueSearch(NOON + 2 * MINUTE, PATIENCE, 10)])
    assert measured(engine, 3 * MINUTE).put_back == {"email": 1}
    with engine.begin() as connection:
        apply_events(connection, [reported(LifecycleType.STARTED, task.id)])
    assert measured(engine, 3 * MINUTE).put_back == {"email": 0}


def test_a_task_that_cannot_be_placed_is_a_gap(engine: Engine) -> None:
    task = new_task()
    accepted(engine, task)
    with engine.begin() as connection:
        connection.execute(delete(SUBTASKS).where(SUBTASKS.c.task_id == task.id))
    assert measured(engine).unplaced == 1


def test_the_first_start_of_a_subtask_tells_how_long_it_waited_and_no_other_does(engine: Engine) -> None:
    task = new_task()
    accepted(engine, task)
    started = reported(LifecycleType.STARTED, task.id, seconds_after=3)
    with engine.begin() as connection:
        first = apply_events(connection, [started, started])
        second = apply_events(
            connection, [started, reported(LifecycleType.COMPLETED, task.id, seconds_after=4)]
        )

    assert first.picked_up == [("email", timedelta(seconds=3))]
    assert second.picked_up == []


def test_open_work_is_that_of_a_tenant_if_one_is_named(engine: Engine) -> None:
    accepted(engine, new_task(), new_task(tenant="acme"), new_task(user_event(), tenant="acme"))
    with engine.begin() as connection:
        numbers = {
            tenant: {part.service: part.subtasks for part in open_work(connection, tenant=tenant)}
            for tenant in (None, "default", "acme")
        }
    assert numbers == {
        None: {"email": 3, "sync": 1},
        "default": {"email": 1},
        "acme": {"email": 2, "sync": 1},
    }


def test_what_a_task_has_in_the_outbox_is_that_of_no_other(engine: Engine) -> None:
    task, other = new_task(), new_task()
    accepted(engine, other, is_published=False)
    accepted(engine, task)
    with engine.begin() as connection:
        assert unpublished_of(connection, task.id) == []
        accept(connection, [Submission(new_task())])
    accepted(engine, late := new_task(), is_published=False)
    with engine.begin() as connection:
        assert [each.held for each in unpublished_of(connection, late.id)] == [False]
