"""The list of what happens to tasks: nothing is missed, whatever the order of commits."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import Connection, Engine, delete

from waybill_contracts.wire.lifecycle import LifecycleEvent, LifecycleType
from waybill_database import READ_ONLY
from waybill_ledger import NewTask, Submission, accept, apply_events
from waybill_ledger.following import Change, Follower, Look, changes_between, changes_of
from waybill_ledger.schema import TASKS
from waybill_testkit.samples import new_task, reported

STARTED, PROGRESS, COMPLETED = LifecycleType.STARTED, LifecycleType.PROGRESS, LifecycleType.COMPLETED


class Following:
    """A follower on a connection of its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.follower = Follower()
        with connection.begin():
            self.follower.begin(connection)

    def look(self) -> Look:
        with self._connection.begin():
            return self.follower.look(self._connection)


@pytest.fixture
def following(engine: Engine) -> Iterator[Following]:
    with opened(engine) as connection:
        yield Following(connection)


@contextmanager
def opened(engine: Engine) -> Iterator[Connection]:
    autocommit = {} if engine.dialect.name == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
    with engine.connect() as connection:
        yield connection.execution_options(**{READ_ONLY: True}, **autocommit)


def accepted(engine: Engine, number: int = 1) -> list[NewTask]:
    tasks = [new_task() for _ in range(number)]
    with engine.begin() as connection:
        accept(connection, [Submission(task) for task in tasks])
    return tasks


def applied(engine: Engine, *events: LifecycleEvent) -> None:
    with engine.begin() as connection:
        apply_events(connection, events)


def done(task: NewTask) -> LifecycleEvent:
    return reported(COMPLETED, task.id)


def between(engine: Engine, after: int, until: int) -> list[Change]:
    with engine.begin() as connection:
        return changes_between(connection, after, until, most=1000)


def test_looks_find_what_was_committed_since_the_last_one(engine: Engine, following: Following) -> None:
    (one, two) = accepted(engine, 2)
    nothing = following.look()
    applied(engine, reported(STARTED, one.id), done(two))
    found = following.look()
    again = following.look()

    assert nothing.tasks == again.tasks == frozenset()
    assert found.tasks == {one.id, two.id}
    assert found.ended == {two.id}
    assert [(each.task_id, each.type) for each in between(engine, nothing.settled, found.settled)] == [
        (one.id, STARTED),
        (two.id, COMPLETED),
    ]


def test_a_repeated_report_is_nothing_new(engine: Engine, following: Following) -> None:
    (task,) = accepted(engine)
    applied(engine, done(task))
    assert following.look().ended == {task.id}
    applied(engine, done(task))
    assert following.look().ended == frozenset()
    applied(engine, reported(STARTED, task.id, attempt=2))
    following.look()
    assert following.look().is_waiting is False


@pytest.mark.parametrize("database_system", ["postgresql"])
def test_what_is_committed_late_is_found_and_settled_in_order(engine: Engine, following: Following) -> None:
    late, early, last = accepted(engine, 3)
    before = following.look().settled
    with engine.connect() as held:
        # It takes its number first, and commits last.
        apply_events(held, [done(late)])
        applied(engine, done(early))
        meanwhile = [following.look() for _ in range(3)]
        held.commit()
    after = [following.look() for _ in range(2)]
    applied(engine, done(last))
    after.append(following.look())

    assert [look.ended for look in meanwhile] == [{early.id}, frozenset(), frozenset()]
    assert {look.settled for look in meanwhile} == {before}
    assert all(look.is_waiting for look in meanwhile)
    assert [look.ended for look in after] == [{late.id}, frozenset(), {last.id}]
    assert [each.task_id for each in between(engine, before, after[-1].settled)] == [
        late.id,
        early.id,
        last.id,
    ]


@pytest.mark.parametrize("database_system", ["postgresql"])
def test_numbers_of_a_transaction_that_is_rolled_back_hold_up_nothing(
    engine: Engine, following: Following
) -> None:
    never, other = accepted(engine, 2)
    before = following.look().settled
    with engine.connect() as held:
        apply_events(held, [done(never)])
        applied(engine, done(other))
        meanwhile = following.look()
        held.rollback()
    looks = [following.look() for _ in range(2)]

    assert meanwhile.settled == before
    assert meanwhile.ended == {other.id}
    assert [each.task_id for each in between(engine, before, looks[-1].settled)] == [other.id]
    assert looks[-1].is_waiting is False


@pytest.mark.parametrize("database_system", ["postgresql"])
def test_several_transactions_fill_their_parts_of_a_gap_one_by_one(
    engine: Engine, following: Following
) -> None:
    tasks = accepted(engine, 6)
    before = following.look().settled
    found: list[str] = []
    with ExitStack() as stack:
        held = [stack.enter_context(engine.connect()) for _ in range(2)]
        for turn, task in enumerate(tasks[:-1]):
            apply_events(held[turn % 2], [done(task)])
        applied(engine, done(tasks[-1]))
        found += following.look().ended
        for connection in reversed(held):
            found += following.look().ended
            connection.commit()
    looks = [following.look() for _ in range(3)]
    found += [task_id for look in looks for task_id in look.ended]

    assert sorted(found) == sorted(task.id for task in tasks)
    assert [each.task_id for each in between(engine, before, looks[-1].settled)] == [
        task.id for task in tasks
    ]


@pytest.mark.parametrize("database_system", ["postgresql"])
def test_others_long_transactions_hold_up_nothing(engine: Engine, following: Following) -> None:
    one, two = accepted(engine, 2)
    with engine.connect() as held, engine.connect() as writer:
        accept(held, [Submission(new_task())])
        apply_events(writer, [done(one)])
        applied(engine, done(two))
        following.look()
        writer.commit()
        following.look()
        look = following.look()
        held.commit()

    assert look.is_waiting is False


@pytest.mark.parametrize("database_system", ["postgresql"])
def test_who_begins_amid_a_transaction_is_ready_only_after_it(engine: Engine) -> None:
    late, early = accepted(engine, 2)
    with opened(engine) as connection, engine.connect() as held:
        apply_events(held, [done(late)])
        applied(engine, done(early))
        following = Following(connection)
        following.look()
        assert following.follower.is_ready is False
        held.commit()
        following.look()

        # Its event is below the first number seen: who reads now finds it, and no look needs to.
        assert following.follower.is_ready
        assert {each.task_id for each in between(engine, 0, following.follower.settled)} == {
            late.id,
            early.id,
        }


def test_new_progress_is_a_new_event_in_place_of_the_former(engine: Engine, following: Following) -> None:
    (task,) = accepted(engine)
    applied(engine, reported(STARTED, task.id))
    before = following.look().settled
    applied(engine, reported(PROGRESS, task.id, seconds_after=1, text="page 1"))
    first = following.look()
    applied(engine, reported(PROGRESS, task.id, seconds_after=2, text="page 2"))
    second = following.look()

    assert first.tasks == second.tasks == {task.id}
    assert [each.details["progress"]["text"] for each in between(engine, before, second.settled)] == [
        "page 2"
    ]
    with engine.begin() as connection:
        known = changes_of(connection, {task.id: first.settled})
    assert [each.details["progress"]["text"] for each in known[task.id]] == ["page 2"]


def test_numbers_of_pruned_events_are_not_given_again(engine: Engine, following: Following) -> None:
    old, new = accepted(engine, 2)
    applied(engine, reported(STARTED, old.id), done(old))
    known = following.look().settled
    with engine.begin() as connection:
        connection.execute(delete(TASKS).where(TASKS.c.id == old.id))
    applied(engine, done(new))
    found = following.look()

    assert found.ended == {new.id}
    assert [each.task_id for each in between(engine, known, found.settled)] == [new.id]


def test_what_happens_to_a_task_is_read_from_a_number_on(engine: Engine, following: Following) -> None:
    one, two = accepted(engine, 2)
    applied(engine, reported(STARTED, one.id), reported(STARTED, two.id))
    known = following.look().settled
    applied(engine, done(one))
    following.look()

    with engine.begin() as connection:
        found = changes_of(connection, {one.id: known, two.id: 0})
    assert [each.type for each in found[one.id]] == [COMPLETED]
    assert [each.type for each in found[two.id]] == [STARTED]
