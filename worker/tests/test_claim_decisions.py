from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill_contracts.wire.lifecycle import DeadReason, ErrorInfo
from waybill_worker.inbox.claims import (
    AlreadyDone,
    Busy,
    Claimed,
    ClaimRequest,
    InboxRow,
    RowState,
    Superseded,
    Ticket,
    decide,
)
from waybill_worker.outcome import Completed, Died, Outcome, RetryLater, Snoozed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE = NOW - timedelta(hours=1)
SOON, JUST_NOW = NOW + timedelta(seconds=1), NOW
ERROR = ErrorInfo(type="E", message="m")
COMPLETED = Completed(at=NOW, seconds=1, max_attempts=4, result={})
RETRY = RetryLater(at=NOW, seconds=1, max_attempts=4, error=ERROR, wait_seconds=2, next_attempt_at=SOON)
SNOOZED = Snoozed(at=NOW, seconds=1, max_attempts=4, error=ERROR, wait_seconds=2, next_attempt_at=SOON)
DIED = Died(at=NOW, seconds=1, max_attempts=4, error=ERROR, reason=DeadReason.PERMANENT)
OUTCOMES: list[Outcome] = [RETRY, SNOOZED, COMPLETED]
MINE = Claimed("me")


def row(
    state: RowState, lease_until: datetime = SOON, outcome: Completed | RetryLater | Died | None = None
) -> InboxRow:
    return InboxRow(2, state, "other", lease_until, outcome)


CLAIMED, DONE = RowState.CLAIMED, RowState.DONE


@pytest.mark.parametrize(
    ("remembered", "attempt", "ticket"),
    [
        # an older copy is obsolete, whatever became of the later one; that outcome is reported again
        (row(CLAIMED), 1, Superseded(2, None)),
        (row(CLAIMED, JUST_NOW), 1, Superseded(2, None)),
        (row(DONE, outcome=RETRY), 1, Superseded(2, RETRY)),
        # the same attempt: one runs it while the lease lasts
        (row(CLAIMED), 2, Busy(SOON)),
        (row(CLAIMED, JUST_NOW), 2, Claimed("me", begun_before=True)),
        (row(DONE, outcome=COMPLETED), 2, AlreadyDone(COMPLETED)),
        (row(DONE, outcome=RETRY), 2, AlreadyDone(RETRY)),
        (row(DONE, outcome=DIED), 2, AlreadyDone(DIED)),
        # a later attempt follows a retry, and nothing else
        (row(CLAIMED), 3, Busy(SOON)),
        (row(CLAIMED, JUST_NOW), 3, MINE),
        (row(DONE, outcome=RETRY), 3, MINE),
        (row(DONE, outcome=COMPLETED), 3, Superseded(2, COMPLETED)),
        (row(DONE, outcome=DIED), 3, Superseded(2, DIED)),
    ],
)
def test_what_a_copy_may_do(remembered: InboxRow, attempt: int, ticket: Ticket) -> None:
    request = ClaimRequest("t", 0, attempt, "me", NOW, NOW + timedelta(seconds=30))

    assert decide(remembered, request) == ticket


@pytest.mark.parametrize(
    "remembered",
    [
        InboxRow(2, CLAIMED, "other", JUST_NOW, None, effect_begun=True),
        InboxRow(2, CLAIMED, "other", JUST_NOW, None, in_doubt=True),
        InboxRow(2, DONE, "other", JUST_NOW, RETRY, in_doubt=True),
    ],
)
@pytest.mark.parametrize("attempt", [2, 3])
def test_a_doubt_stays_with_whatever_runs_next(remembered: InboxRow, attempt: int) -> None:
    ticket = decide(remembered, ClaimRequest("t", 0, attempt, "me", NOW, SOON))

    assert isinstance(ticket, AlreadyDone) or (isinstance(ticket, Claimed) and ticket.in_doubt)


def put_off(state: RowState, lease_until: datetime = SOON) -> InboxRow:
    """The second attempt, once put off before."""
    outcome = SNOOZED if state is DONE else None
    return InboxRow(
        2, state, "other", lease_until, outcome, snooze_no=1, life_since=BEFORE, attempt_since=NOW
    )


@pytest.mark.parametrize(
    ("remembered", "attempt", "snooze_no", "ticket"),
    [
        # of two copies the one that was put off less often has no meaning any more
        (put_off(DONE), 2, 0, Superseded(2, SNOOZED, 1)),
        (put_off(CLAIMED), 2, 0, Superseded(2, None, 1)),
        (put_off(DONE), 1, 9, Superseded(2, SNOOZED, 1)),
        (put_off(DONE), 2, 1, AlreadyDone(SNOOZED)),
        (put_off(DONE), 2, 2, Claimed("me", life_since=BEFORE, attempt_since=NOW)),
        (put_off(CLAIMED), 2, 1, Busy(SOON)),
        (put_off(CLAIMED), 2, 2, Busy(SOON)),
        (
            put_off(CLAIMED, JUST_NOW),
            2,
            1,
            Claimed("me", begun_before=True, life_since=BEFORE, attempt_since=NOW),
        ),
        # the next attempt's own time begins anew, the subtask's does not
        (put_off(DONE), 3, 0, Claimed("me", life_since=BEFORE)),
    ],
)
def test_what_a_copy_of_an_attempt_that_was_put_off_may_do(
    remembered: InboxRow, attempt: int, snooze_no: int, ticket: Ticket
) -> None:
    assert decide(remembered, ClaimRequest("t", 0, attempt, "me", NOW, SOON, snooze_no)) == ticket


def test_done_without_an_outcome_is_a_damaged_row() -> None:
    with pytest.raises(ValueError, match="has an outcome"):
        decide(row(DONE), ClaimRequest("t", 0, 2, "me", NOW, SOON))


@given(st.data())
def test_however_many_copies_come_in_whatever_order_each_attempt_and_each_snooze_runs_once(
    data: st.DataObject,
) -> None:
    waiting = [(1, 0)]
    seen: list[tuple[int, int]] = []
    ran: list[tuple[int, int]] = []
    remembered: InboxRow | None = None
    for number in range(data.draw(st.integers(1, 40))):
        # A copy that waits, or one that was seen before and comes again.
        attempt, snooze_no = data.draw(st.sampled_from(waiting + seen))
        seen.append((attempt, snooze_no))
        request = ClaimRequest("t", 0, attempt, f"owner {number}", NOW, SOON, snooze_no)
        if remembered is not None and not isinstance(decide(remembered, request), Claimed):
            continue
        ran.append((attempt, snooze_no))
        outcome = data.draw(st.sampled_from(OUTCOMES))
        following = {"retry": (attempt + 1, 0), "snoozed": (attempt, snooze_no + 1)}.get(outcome.is_)
        remembered = InboxRow(attempt, DONE, request.owner, SOON, outcome, snooze_no=snooze_no)
        waiting += [following] * data.draw(st.integers(1, 2)) if following else []

    assert ran == sorted(set(ran))
