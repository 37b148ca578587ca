import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, text

from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_ledger import (
    LOW_PRIORITY,
    Accepted,
    Cancellation,
    Feed,
    NewTask,
    OverdueSearch,
    PendingMessage,
    Prevented,
    Range,
    StallTimeouts,
    Stopping,
    Submission,
    Sweep,
    accept,
    apply_events,
    cancel,
    delete_swept,
    get_task,
    held_routing_keys,
    outlook,
    put_back,
    reconcile,
    take_account,
    take_due,
    take_held,
)
from waybill_testkit.samples import NOON, email_event, new_task, reported, sync_event, user_event

LATER = NOON + timedelta(hours=3)
TAKEN_FOR = timedelta(minutes=1)
PATIENCE = StallTimeouts(timedelta(minutes=1), timedelta(minutes=15), timedelta(minutes=1))
MAIL = "email.requested"


def low(**fields: Any) -> NewTask:
    return new_task(priority=LOW_PRIORITY, **fields)


def accepted(engine: Engine, *tasks: NewTask) -> None:
    with engine.begin() as connection:
        accept(connection, [Submission(task) for task in tasks])


def swept(engine: Engine, now: datetime = LATER) -> list[PendingMessage]:
    with engine.begin() as connection:
        (messages,) = take_due(connection, [Sweep(now, now + TAKEN_FOR, 100)])
    return messages


def fed(engine: Engine, kind: str = MAIL, now: datetime = LATER, most: int = 100) -> list[PendingMessage]:
    with engine.begin() as connection:
        (messages,) = take_held(connection, [Feed(kind, now, now + TAKEN_FOR, most)])
    return messages


def cancelled(engine: Engine, task: NewTask) -> object:
    with engine.begin() as connection:
        return cancel(connection, [Cancellation(task.id, LATER)])[0]


def state(engine: Engine, task: NewTask) -> State:
    with engine.connect() as connection:
        found = get_task(connection, task.id)
    assert found is not None
    return found.state


def ids(messages: list[PendingMessage]) -> list[str]:
    return [message.envelope.task_id for message in messages]


def overdue(engine: Engine, now: datetime) -> list[str]:
    with engine.begin() as connection:
        (found,) = reconcile(connection, [OverdueSearch(now, PATIENCE, 100)])
    return [each.task_id for each in found]


def test_low_work_is_pending_and_neither_the_gateway_nor_a_sweep_publishes_it(engine: Engine) -> None:
    task = low()
    with engine.begin() as connection:
        assert not outlook(connection).is_any_held
        assert accept(connection, [Submission(task)]) == [Accepted(None)]
        assert outlook(connection).outbox_at is None
        assert outlook(connection).is_any_held

    assert state(engine, task) is State.PENDING
    assert swept(engine) == []
    assert ids(fed(engine)) == [task.id]


def test_the_oldest_is_fed_first_and_no_more_than_there_is_room_for(engine: Engine) -> None:
    tasks = [low(created_at=NOON - timedelta(seconds=n)) for n in range(5)]
    accepted(engine, *tasks)

    assert ids(fed(engine, most=2)) == [tasks[4].id, tasks[3].id]
    assert ids(fed(engine, most=2)) == [tasks[2].id, tasks[1].id]


def test_each_kind_is_fed_for_itself_and_that_which_waits_longest_comes_first(engine: Engine) -> None:
    mail = low(event=email_event(), created_at=NOON + timedelta(seconds=2))
    record = low(event=sync_event(), created_at=NOON + timedelta(seconds=1))
    user = low(event=user_event(), created_at=NOON)
    accepted(engine, mail, record, user, new_task())
    with engine.connect() as connection:
        assert held_routing_keys(connection) == ["user.created", "sync.requested", MAIL]

    assert ids(fed(engine, "sync.requested")) == [record.id]
    with engine.connect() as connection:
        assert held_routing_keys(connection) == ["user.created", MAIL]


def test_what_was_fed_is_a_row_like_any_other(engine: Engine) -> None:
    lost, failed, done = (low(created_at=NOON + timedelta(seconds=n)) for n in range(3))
    accepted(engine, lost, failed, done)
    rows = {message.envelope.task_id: message.outbox_id for message in fed(engine)}
    with engine.begin() as connection:
        put_back(connection, [([rows[failed.id]], LATER + timedelta(seconds=1))])
        delete_swept(connection, [([rows[done.id]], LATER)])

    assert fed(engine) == []
    assert ids(swept(engine, LATER + timedelta(seconds=1))) == [failed.id]
    # Whoever took it died before it could publish it.
    assert lost.id in ids(swept(engine, LATER + TAKEN_FOR))


def test_low_work_that_is_scheduled_is_held_from_its_time_on(engine: Engine) -> None:
    task, other = low(due_at=LATER), low(due_at=LATER + timedelta(days=1))
    accepted(engine, task, other)
    assert (fed(engine), state(engine, task)) == ([], State.SCHEDULED)

    assert swept(engine) == []
    assert (state(engine, task), state(engine, other)) == (State.PENDING, State.SCHEDULED)
    assert ids(fed(engine)) == [task.id]
    assert swept(engine) == []


def test_what_is_held_is_cancelled_for_certain_and_what_was_fed_is_not(engine: Engine) -> None:
    held, gone = low(created_at=NOON + timedelta(seconds=1)), low(event=user_event())
    accepted(engine, held, gone)
    fed(engine, "user.created")

    assert cancelled(engine, held) == Prevented()
    assert isinstance(cancelled(engine, gone), Stopping)
    assert (fed(engine), state(engine, held)) == ([], State.CANCELLED)


def test_what_is_held_owes_no_sign_of_life_and_what_was_fed_does(engine: Engine) -> None:
    task, due = low(), low(due_at=NOON + timedelta(seconds=1))
    accepted(engine, task, due)
    swept(engine, NOON + timedelta(minutes=1))
    assert overdue(engine, LATER + timedelta(days=365)) == []

    rows = [message.outbox_id for message in fed(engine)]
    with engine.begin() as connection:
        delete_swept(connection, [(rows, LATER)])
    assert overdue(engine, LATER + timedelta(seconds=59)) == []
    assert sorted(overdue(engine, LATER + timedelta(seconds=60))) == sorted([task.id, due.id])
    # Put back, it is published at once, as what a broker lost.
    assert len(swept(engine, LATER + timedelta(seconds=60))) == 2


def test_the_account_knows_where_held_work_is(engine: Engine) -> None:
    accepted(engine, low(), low(event=user_event()), low(due_at=NOON + timedelta(seconds=1)))
    swept(engine, NOON + timedelta(minutes=1))
    fed(engine, "user.created")
    with engine.connect() as connection:
        account = take_account(connection, Range(LATER, PATIENCE), limit=10, cursor=None)

    assert account.is_balanced
    assert account.accepted == {MAIL: 2, "user.created": 1}


def test_what_is_fed_again_does_not_turn_back_what_has_begun(engine: Engine) -> None:
    task = low()
    accepted(engine, task)
    fed(engine)
    with engine.begin() as connection:
        apply_events(connection, [reported(LifecycleType.STARTED, task.id)])
    swept(engine, LATER + TAKEN_FOR)

    assert state(engine, task) is State.RUNNING


def test_two_feeders_at_once_never_take_the_same(engine: Engine) -> None:
    tasks = [low() for _ in range(60)]
    accepted(engine, *tasks)
    together = threading.Barrier(2)

    def feed_until_nothing_is_left(_: int) -> list[str]:
        together.wait()
        taken: list[str] = []
        while batch := fed(engine, most=7):
            taken += ids(batch)
        return taken

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(feed_until_nothing_is_left, range(2))

    assert sorted(first + second) == sorted(task.id for task in tasks)


def test_a_task_that_is_cancelled_while_it_is_fed_is_either_prevented_or_told(engine: Engine) -> None:
    tasks = [low() for _ in range(40)]
    accepted(engine, *tasks)
    together = threading.Barrier(2)

    def call_off() -> list[str]:
        together.wait()
        return [task.id for task in tasks if isinstance(cancelled(engine, task), Prevented)]

    def feed() -> list[str]:
        together.wait()
        return [task_id for _ in range(40) for task_id in ids(fed(engine, most=1))]

    with ThreadPoolExecutor(2) as pool:
        calling, feeding = pool.submit(call_off), pool.submit(feed)
        prevented, published = calling.result(), feeding.result() + ids(fed(engine))

    assert sorted(prevented + published) == sorted(task.id for task in tasks)


def test_looking_at_what_is_due_reads_nothing_of_what_is_held(engine: Engine) -> None:
    accepted(engine, *(low() for _ in range(500)), *(new_task(due_at=LATER) for _ in range(500)))
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    is_held, is_not = ("held = 1", "held = 0") if engine.dialect.name == "sqlite" else ("held", "NOT held")
    with engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        due, held = (
            "\n".join(str(row) for row in connection.execute(text(f"{explain} {query}")))
            for query in (
                f"SELECT min(available_at) FROM outbox WHERE {is_not}",
                f"SELECT min(available_at) FROM outbox WHERE {is_held} AND routing_key = 'email.requested'",
            )
        )

    assert "outbox_by_availability" in due
    assert "outbox_held" in held
