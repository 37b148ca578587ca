import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill_contracts.wire.lifecycle import MAX_SNOOZES, DeadReason
from waybill_worker.attempt.retry_policy import (
    GiveUp,
    Retry,
    RetryPolicy,
    Snooze,
    after_failure,
    after_snooze,
)
from waybill_worker.broker.delay_ladder import MAX_DELAY_SECONDS
from waybill_worker.errors import (
    NotReadableYetError,
    PermanentError,
    RateLimitedError,
    SnoozeError,
    TransientError,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVEN = RetryPolicy(max_attempts=4, base_seconds=2, cap_seconds=900, jitter=0)


def decided(
    error: Exception,
    *,
    policy: RetryPolicy = EVEN,
    attempt: int = 1,
    max_attempts: int = 4,
    deadline: datetime | None = None,
) -> Retry | GiveUp:
    return after_failure(
        error,
        policy=policy,
        attempt=attempt,
        max_attempts=max_attempts,
        deadline=deadline,
        now=NOW,
        draw=lambda: 0.5,
    )


def test_waits_double_up_to_the_cap() -> None:
    assert [EVEN.backoff(attempt, lambda: 0.5) for attempt in (1, 2, 3, 9, 10, 10_000)] == [
        *(2, 4, 8),
        *(512, 900, 900),
    ]


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_jitter_only_shortens_and_never_to_nothing(attempt: int, draw: float, jitter: float) -> None:
    policy = RetryPolicy(max_attempts=9, base_seconds=2, cap_seconds=60, jitter=jitter)
    longest = min(60, 2 * 2 ** min(attempt - 1, 30))

    assert longest * (1 - jitter) <= policy.backoff(attempt, lambda: draw) <= longest
    assert policy.backoff(attempt, lambda: draw) > 0


@pytest.mark.parametrize("error", [TransientError("busy"), ValueError("a defect"), TimeoutError()])
def test_whatever_is_not_permanent_is_tried_again(error: Exception) -> None:
    assert decided(error) == Retry(2)


def test_a_permanent_error_ends_it_at_once() -> None:
    assert decided(PermanentError("no such address")) == GiveUp(DeadReason.PERMANENT)


@pytest.mark.parametrize(("attempt", "ended"), [(3, False), (4, True), (5, True)])
def test_attempts_run_out(attempt: int, ended: bool) -> None:  # noqa: FBT001 - a test's parameter
    assert (decided(TransientError("busy"), attempt=attempt) == GiveUp(DeadReason.EXHAUSTED)) is ended


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(0.5, 2), (60, 60), (5000, 5000), (math.inf, MAX_DELAY_SECONDS), (math.nan, 2), (-7, 2)],
)
def test_the_other_side_may_ask_for_a_longer_wait(asked: float, waited: float) -> None:
    assert decided(TransientError("busy", retry_after=asked)) == Retry(waited)
    in_a_year = NOW + timedelta(days=365)
    assert decided(TransientError("busy", retry_after=asked), deadline=in_a_year) == Retry(waited)


@pytest.mark.parametrize(
    ("left", "answer"),
    [(2.0, Retry(2)), (1.999, GiveUp(DeadReason.DEADLINE)), (-1, GiveUp(DeadReason.DEADLINE))],
)
def test_no_attempt_begins_after_the_deadline(left: float, answer: Retry | GiveUp) -> None:
    assert decided(TransientError("busy"), deadline=NOW + timedelta(seconds=left)) == answer


def put_off(
    asked: float | None = None,
    *,
    snooze_no: int = 0,
    since: float = 0,
    deadline: datetime | None = None,
    policy: RetryPolicy = EVEN,
) -> Snooze | GiveUp:
    """What follows a snooze of an attempt that was first claimed `since` seconds ago."""
    return after_snooze(
        RateLimitedError("too many", retry_after=asked),
        policy=policy,
        snooze_no=snooze_no,
        attempt_since=NOW - timedelta(seconds=since),
        deadline=deadline,
        now=NOW,
        draw=lambda: 0.5,
    )


@pytest.mark.parametrize(
    ("asked", "waited"), [(None, 2), (0.5, 2), (60, 60), (5000, 5000), (math.nan, 2), (-7, 2)]
)
def test_a_snooze_waits_as_long_as_it_was_asked_to(asked: float | None, waited: float) -> None:
    assert put_off(asked) == Snooze(waited)


def test_snoozes_grow_like_retries_so_that_they_become_rare() -> None:
    assert [put_off(1, snooze_no=number) for number in (0, 1, 2, 9)] == [
        *(Snooze(2), Snooze(4), Snooze(8), Snooze(900)),
    ]


def test_however_often_it_is_put_off_an_attempt_is_not_used_up() -> None:
    # `max_attempts` is no argument: a snooze is not counted against it.
    assert put_off(snooze_no=MAX_SNOOZES - 1) == Snooze(900)


def unread(since: float) -> Snooze | GiveUp:
    """What follows a snooze of a message that this release cannot read, first claimed `since` seconds ago."""
    return after_snooze(
        NotReadableYetError("version 2 is newer than this release"),
        policy=EVEN,
        snooze_no=9,
        attempt_since=NOW - timedelta(seconds=since),
        deadline=None,
        now=NOW,
        draw=lambda: 0.5,
    )


def test_a_message_for_a_newer_release_is_late_by_a_share_of_the_deployment_only() -> None:
    assert [unread(since) for since in (0, 16, 80, 800, 80_000)] == [
        *(Snooze(2), Snooze(2), Snooze(10), Snooze(100), Snooze(900)),
    ]
    assert unread(86_399) == GiveUp(DeadReason.UNREADABLE)


@pytest.mark.parametrize(
    ("since", "answer"),
    [(86_400 - 60, Snooze(60)), (86_400 - 59, GiveUp(DeadReason.EXHAUSTED))],
)
def test_nothing_is_put_off_for_ever(since: float, answer: Snooze | GiveUp) -> None:
    assert put_off(60, since=since) == answer
    assert put_off(snooze_no=MAX_SNOOZES) == GiveUp(DeadReason.EXHAUSTED)


def test_a_wait_beyond_the_deadline_ends_it() -> None:
    assert put_off(60, deadline=NOW + timedelta(seconds=60)) == Snooze(60)
    assert put_off(60, deadline=NOW + timedelta(seconds=59)) == GiveUp(DeadReason.DEADLINE)


@given(
    asked=st.none() | st.floats(allow_nan=True),
    snooze_no=st.integers(0, MAX_SNOOZES),
    since=st.floats(0, 2 * 86_400),
    left=st.floats(-10, 200_000),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_a_snooze_never_outlasts_its_bounds(
    asked: float | None, snooze_no: int, since: float, left: float, draw: float
) -> None:
    deadline = NOW + timedelta(seconds=left)
    attempt_since = NOW - timedelta(seconds=since)
    decision = after_snooze(
        SnoozeError("later", retry_after=asked),
        policy=EVEN,
        snooze_no=snooze_no,
        attempt_since=attempt_since,
        deadline=deadline,
        now=NOW,
        draw=lambda: draw,
    )

    if isinstance(decision, Snooze):
        due = NOW + timedelta(seconds=decision.seconds)
        assert due <= min(deadline, attempt_since + timedelta(seconds=EVEN.snooze_seconds))
        assert asked is None or math.isnan(asked) or decision.seconds >= min(asked, MAX_DELAY_SECONDS)
