import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from contracts.lifecycle import (
    DeadReason,
    ErrorInfo,
    LifecycleData,
    LifecycleEvent,
    LifecycleType,
    lifecycle_event,
)
from contracts.states import State
from ledger.states import Subtask, merge, task_state

START = datetime(2026, 1, 1, tzinfo=UTC)
NEW = Subtask("t", "email", State.PENDING, 0, 0, 0, None, None, START, START, 0, None, None)
ERROR = ErrorInfo(type="TransientError", message="refused")


def event(type_: LifecycleType, attempt: int = 1, redrive_no: int = 0, minute: int = 0) -> LifecycleEvent:
    at = START + timedelta(minutes=minute)
    failed = type_ in {LifecycleType.RETRYING, LifecycleType.DEAD}
    data = LifecycleData(
        task_id="t",
        service="email",
        kind="email.requested",
        redrive_no=redrive_no,
        attempt=attempt,
        max_attempts=4,
        error=ERROR if failed else None,
        reason=DeadReason.EXHAUSTED if type_ is LifecycleType.DEAD else None,
        next_attempt_at=at if type_ is LifecycleType.RETRYING else None,
        result={"attempt": attempt} if type_ is LifecycleType.COMPLETED else None,
    )
    return lifecycle_event(type_, at, data)


def after(*events: LifecycleEvent) -> Subtask:
    subtask = NEW
    for each in events:
        subtask = merge(subtask, each)
    return subtask


def test_an_attempt_fails_and_the_next_one_succeeds() -> None:
    started = after(event(LifecycleType.STARTED))
    retrying = merge(started, event(LifecycleType.RETRYING))
    again = merge(retrying, event(LifecycleType.STARTED, attempt=2))
    done = merge(again, event(LifecycleType.COMPLETED, attempt=2))
    assert [s.state for s in (started, retrying, again, done)] == [
        State.RUNNING,
        State.RETRYING,
        State.RUNNING,
        State.COMPLETED,
    ]
    assert again.error == {"type": "TransientError", "message": "refused"}
    assert (done.error, done.result) == (None, {"attempt": 2})


def test_a_late_start_does_not_reopen_an_outcome() -> None:
    done = after(event(LifecycleType.COMPLETED, attempt=1))
    assert merge(done, event(LifecycleType.STARTED, attempt=2)) is done


def test_completed_wins_over_dead_of_the_same_redrive() -> None:
    for order in (
        (LifecycleType.DEAD, LifecycleType.COMPLETED),
        (LifecycleType.COMPLETED, LifecycleType.DEAD),
    ):
        assert after(*(event(type_) for type_ in order)).state is State.COMPLETED


def test_a_redrive_reopens_what_failed() -> None:
    assert (
        after(event(LifecycleType.DEAD, attempt=4), event(LifecycleType.STARTED, redrive_no=1)).state
        is State.RUNNING
    )


EVENTS = st.builds(
    event,
    st.sampled_from(LifecycleType),
    attempt=st.integers(1, 4),
    redrive_no=st.integers(0, 2),
    minute=st.integers(0, 3),
)


@given(st.lists(EVENTS, max_size=12, unique_by=lambda e: e.id), st.randoms(use_true_random=False))
def test_order_and_repetition_make_no_difference(events: list[LifecycleEvent], dice: random.Random) -> None:
    shuffled = events + [dice.choice(events) for _ in events]
    dice.shuffle(shuffled)
    first, second = after(*events), after(*shuffled)
    assert (first.state, first.position, first.attempt) == (second.state, second.position, second.attempt)


def test_the_task_follows_its_subtasks() -> None:
    c, f, x, r, t, p, s = (
        State.COMPLETED,
        State.FAILED,
        State.CANCELLED,
        State.RUNNING,
        State.RETRYING,
        State.PENDING,
        State.SCHEDULED,
    )
    table = {
        (c, c): c,
        (c, f): f,
        (x, f): f,
        (c, x): x,
        (f, t): t,
        (f, p): r,
        (c, p): r,
        (r, t): r,
        (p, p): p,
        (s, s): s,
    }
    assert {states: task_state(states) for states in table} == table
