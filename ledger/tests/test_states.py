import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import (
    MAX_COUNT,
    MAX_SNOOZES,
    DeadReason,
    ErrorInfo,
    LifecycleData,
    LifecycleEvent,
    LifecycleType,
    ProgressInfo,
    lifecycle_event,
)
from waybill_ledger.progress.states import Subtask, due_next, merge, position, task_state

START = datetime(2026, 1, 1, tzinfo=UTC)
NEW = Subtask("t", "email", State.PENDING, 0, 0, 0, None, None, START, START, 0, None, None)
ERROR = ErrorInfo(type="TransientError", message="refused")


def event(
    type_: LifecycleType, attempt: int = 1, redrive_no: int = 0, minute: int = 0, snooze_no: int = 0
) -> LifecycleEvent:
    at = START + timedelta(minutes=minute)
    waits = type_ in {LifecycleType.RETRYING, LifecycleType.SNOOZED}
    failed = waits or type_ is LifecycleType.DEAD
    data = LifecycleData(
        task_id="t",
        service="email",
        kind="email.requested",
        redrive_no=redrive_no,
        attempt=attempt,
        snooze_no=snooze_no,
        max_attempts=4,
        error=ERROR if failed else None,
        reason=DeadReason.EXHAUSTED if type_ is LifecycleType.DEAD else None,
        next_attempt_at=at if waits else None,
        result={"attempt": attempt} if type_ is LifecycleType.COMPLETED else None,
        progress=ProgressInfo(share=0.5) if type_ is LifecycleType.PROGRESS else None,
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


def test_an_attempt_that_is_put_off_stays_the_same_attempt() -> None:
    events = [
        event(LifecycleType.STARTED),
        event(LifecycleType.SNOOZED),
        event(LifecycleType.STARTED, snooze_no=1),
        event(LifecycleType.SNOOZED, snooze_no=1),
        event(LifecycleType.STARTED, snooze_no=2),
        event(LifecycleType.RETRYING, snooze_no=2),
        event(LifecycleType.STARTED, attempt=2),
    ]
    steps = [after(*events[: length + 1]) for length in range(len(events))]

    assert [(s.state, s.attempt) for s in steps] == [
        (State.RUNNING, 1),
        (State.RETRYING, 1),
        (State.RUNNING, 1),
        (State.RETRYING, 1),
        (State.RUNNING, 1),
        (State.RETRYING, 1),
        (State.RUNNING, 2),
    ]
    assert [due_next(s.state, s.attempt, s.position) for s in steps] == [
        *((1, 0), (1, 1), (1, 1), (1, 2), (1, 2)),
        *((2, 0), (2, 0)),
    ]
    assert steps[1].next_attempt_at == START
    assert after(*reversed(events)).position == steps[-1].position


def test_what_has_not_begun_waits_for_its_first_attempt() -> None:
    assert due_next(State.PENDING, 0, 0) == (1, 0)


@given(st.integers(0, MAX_COUNT), st.integers(1, MAX_COUNT), st.integers(0, MAX_SNOOZES))
def test_no_count_reaches_into_its_neighbours_bits(redrive_no: int, attempt: int, snooze_no: int) -> None:
    here = position(event(LifecycleType.SNOOZED, attempt, redrive_no, snooze_no=snooze_no))
    later = (
        [
            position(event(LifecycleType.STARTED, attempt + 1, redrive_no)),
            position(event(LifecycleType.DEAD, 1, redrive_no)),
            position(event(LifecycleType.STARTED, 1, redrive_no + 1)),
        ]
        if max(attempt, redrive_no) < MAX_COUNT
        else []
    )

    assert here < 1 << 63
    assert [here, *later] == sorted({here, *later})


EVENTS = st.builds(
    event,
    st.sampled_from(LifecycleType),
    attempt=st.integers(1, 4),
    redrive_no=st.integers(0, 2),
    minute=st.integers(0, 3),
    snooze_no=st.integers(0, 2),
)


@pytest.mark.parametrize("type_", [LifecycleType.PROGRESS, LifecycleType.STARTED])
def test_progress_or_a_repeated_start_is_a_heartbeat_of_the_attempt_that_runs(type_: LifecycleType) -> None:
    started = after(event(LifecycleType.STARTED))
    put_back = replace(started, expected_at=START + timedelta(hours=1), reconciled=2)
    alive = merge(put_back, event(type_, minute=3))

    assert (alive.state, alive.position) == (State.RUNNING, started.position)
    assert (alive.expected_at, alive.reconciled) == (START + timedelta(minutes=3), 0)
    assert merge(alive, event(type_, minute=2)) is alive
    assert due_next(alive.state, alive.attempt, alive.position) == (1, 0)


def test_progress_that_comes_before_the_start_says_that_the_attempt_runs() -> None:
    early = after(event(LifecycleType.PROGRESS, attempt=2, minute=2))
    assert (early.state, early.attempt) == (State.RUNNING, 2)
    assert merge(early, event(LifecycleType.STARTED, attempt=2, minute=1)) is early


@pytest.mark.parametrize(
    "type_", [LifecycleType.RETRYING, LifecycleType.SNOOZED, LifecycleType.COMPLETED, LifecycleType.DEAD]
)
def test_progress_comes_too_late_once_its_attempt_has_ended(type_: LifecycleType) -> None:
    ended = after(event(LifecycleType.STARTED), event(type_, minute=1))
    assert merge(ended, event(LifecycleType.PROGRESS, minute=2)) is ended


@given(st.lists(EVENTS, max_size=12, unique_by=lambda e: e.id), st.randoms(use_true_random=False))
def test_order_and_repetition_make_no_difference(events: list[LifecycleEvent], dice: random.Random) -> None:
    shuffled = events + [dice.choice(events) for _ in events]
    dice.shuffle(shuffled)
    first, second = after(*events), after(*shuffled)
    assert (first.state, first.position, first.attempt) == (second.state, second.position, second.attempt)
    assert due_next(first.state, first.attempt, first.position) == due_next(
        second.state, second.attempt, second.position
    )


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
