import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from waybill_contracts.wire.envelope import Envelope
from waybill_contracts.wire.lifecycle import DeadReason, ErrorInfo
from waybill_database import Records
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import email_event, envelope_of
from waybill_worker.inbox.claims import AlreadyDone, Busy, Claimed, Superseded
from waybill_worker.inbox.inbox import Inbox, LeaseLostError
from waybill_worker.inbox.table import INBOX
from waybill_worker.outcome import Cancelled, Completed, Died, RetryLater, Snoozed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ERROR = ErrorInfo(type="E", message="m")
COMPLETED = Completed(at=NOW, seconds=1, max_attempts=4, result={"at": "é", "n": [1, None]})
RETRY = RetryLater(at=NOW, seconds=1, max_attempts=4, error=ERROR, wait_seconds=2, next_attempt_at=NOW)
SNOOZED = Snoozed(at=NOW, seconds=1, max_attempts=4, error=ERROR, wait_seconds=2, next_attempt_at=NOW)
DIED = Died(at=NOW, seconds=1, max_attempts=4, error=ERROR, reason=DeadReason.PERMANENT)
#: Long enough that no test outlives it, and short enough that one which must, does soon.
LONG, SHORT = 300.0, 0.3

OpenInbox = Callable[..., Awaitable[Inbox]]


@pytest.fixture
async def inbox_of(database_url: str) -> AsyncIterator[OpenInbox]:
    """Opens inboxes on one database, as replicas of a service would; the test may close their renewal."""
    opened: list[tuple[Records, Inbox]] = []

    async def open_inbox(lease: float = LONG, service: str = "email") -> Inbox:
        records = Records(database_url)
        inbox = Inbox(records, service, lease_seconds=lease)
        opened.append((records, inbox))
        inbox.make_table()
        await inbox.start()
        return inbox

    yield open_inbox
    for records, inbox in opened:
        await inbox.stop()
        await records.close()


def a_message(attempt: int = 1, redrive_no: int = 0, task_id: str = "t1", snooze_no: int = 0) -> Envelope:
    return envelope_of(email_event(), task_id, attempt=attempt, redrive_no=redrive_no, snooze_no=snooze_no)


async def claimed(inbox: Inbox, envelope: Envelope) -> str:
    ticket = await inbox.claim(envelope)
    assert isinstance(ticket, Claimed)
    return ticket.owner


async def test_one_of_many_copies_at_once_wins(inbox_of: OpenInbox) -> None:
    one, other = await inbox_of(), await inbox_of()
    tickets = await asyncio.gather(*(inbox.claim(a_message()) for inbox in (one, other) for _ in range(5)))

    assert sorted(type(ticket).__name__ for ticket in tickets) == ["Busy"] * 9 + ["Claimed"]


async def test_many_tasks_and_their_copies_in_one_batch(inbox_of: OpenInbox) -> None:
    inbox = await inbox_of()
    envelopes = [a_message(task_id=f"t{n % 50}") for n in range(100)]
    tickets = await asyncio.gather(*(inbox.claim(envelope) for envelope in envelopes))

    assert [type(ticket) for ticket in tickets] == [Claimed] * 50 + [Busy] * 50


@pytest.mark.parametrize("outcome", [COMPLETED, RETRY, DIED])
async def test_what_was_done_is_told_again_word_for_word(
    inbox_of: OpenInbox, outcome: Completed | RetryLater | Died
) -> None:
    one, other = await inbox_of(), await inbox_of()
    owner = await claimed(one, a_message())

    assert await one.record(owner, a_message(), outcome)
    assert await other.claim(a_message()) == AlreadyDone(outcome)


async def test_the_next_attempt_follows_a_retry_and_outdates_the_one_before(inbox_of: OpenInbox) -> None:
    inbox = await inbox_of()
    owner = await claimed(inbox, a_message())
    await inbox.record(owner, a_message(), RETRY)
    await claimed(inbox, a_message(attempt=2))

    assert await inbox.claim(a_message()) == Superseded(2, None)
    assert isinstance(await inbox.claim(a_message(attempt=2)), Busy)


@pytest.mark.parametrize("outcome", [COMPLETED, DIED])
async def test_nothing_follows_an_outcome_but_a_redrive(
    inbox_of: OpenInbox, outcome: Completed | Died
) -> None:
    inbox = await inbox_of()
    owner = await claimed(inbox, a_message())
    await inbox.record(owner, a_message(), outcome)

    assert await inbox.claim(a_message(attempt=2)) == Superseded(1, outcome)
    await claimed(inbox, a_message(redrive_no=1))


async def test_services_that_share_a_database_do_not_share_claims(inbox_of: OpenInbox) -> None:
    email, sync = await inbox_of(), await inbox_of(service="sync")

    await claimed(email, a_message())
    await claimed(sync, a_message())


async def test_a_lease_that_has_run_out_is_taken_over_and_its_owner_cannot_speak(inbox_of: OpenInbox) -> None:
    dead, alive = await inbox_of(SHORT), await inbox_of()
    late = await claimed(dead, a_message())
    await dead.stop()  # nobody renews it any more, as after a crash
    taken_over: Claimed = await eventually(lambda: _claimed_or_none(alive, a_message()))

    assert not await dead.record(late, a_message(), DIED)
    assert await alive.record(taken_over.owner, a_message(), COMPLETED)
    assert await alive.claim(a_message()) == AlreadyDone(COMPLETED)


async def test_an_outcome_is_recorded_once(inbox_of: OpenInbox) -> None:
    inbox = await inbox_of()
    owner = await claimed(inbox, a_message())

    assert await inbox.record(owner, a_message(), COMPLETED)
    assert not await inbox.record(owner, a_message(), DIED)
    assert await inbox.claim(a_message()) == AlreadyDone(COMPLETED)


async def test_an_owner_who_is_late_but_alone_may_still_speak(inbox_of: OpenInbox) -> None:
    inbox = await inbox_of(SHORT)
    owner = await claimed(inbox, a_message())
    await inbox.stop()  # nobody renews it any more
    run_out = datetime.now(UTC) + timedelta(seconds=SHORT)
    await eventually(lambda: datetime.now(UTC) > run_out)

    assert await inbox.record(owner, a_message(), COMPLETED)


async def test_a_claim_is_renewed_while_it_is_held(inbox_of: OpenInbox) -> None:
    holder, other = await inbox_of(6.0), await inbox_of()
    owner = await claimed(holder, a_message())
    first = await other.claim(a_message())
    assert isinstance(first, Busy)

    async def is_renewed() -> bool:
        ticket = await other.claim(a_message())
        assert isinstance(ticket, Busy)
        return ticket.until > first.until

    await eventually(is_renewed)
    assert await holder.record(owner, a_message(), COMPLETED)


async def test_a_claim_that_was_let_go_is_renewed_no_more(inbox_of: OpenInbox) -> None:
    holder, other = await inbox_of(SHORT), await inbox_of()
    holder.let_go(await claimed(holder, a_message()))

    await eventually(lambda: _claimed_or_none(other, a_message()))


async def test_each_run_that_follows_one_cut_off_is_counted(inbox_of: OpenInbox) -> None:
    alive = await inbox_of()
    await cut_off(await inbox_of(SHORT))
    for run in (2, 3):
        ticket: Claimed = await eventually(lambda: _claimed_or_none(alive, a_message()))
        assert ticket.begun_before
        assert await alive.begin_again(ticket.owner) == run
        await alive.release(ticket.owner)
        # What our own stop cut off does not count.
        again = await alive.claim(a_message())
        assert isinstance(again, Claimed)
        assert await alive.begin_again(again.owner) == run
        await _let_it_run_out(alive, again.owner)


async def test_the_next_attempt_counts_anew(inbox_of: OpenInbox) -> None:
    alive = await inbox_of()
    await cut_off(await inbox_of(SHORT))
    ticket: Claimed = await eventually(lambda: _claimed_or_none(alive, a_message()))
    await alive.begin_again(ticket.owner)
    await alive.record(ticket.owner, a_message(), RETRY)
    following = await claimed(alive, a_message(attempt=2))

    assert await alive.begin_again(following) == 2


async def test_who_has_lost_the_lease_may_neither_begin_again_nor_act(inbox_of: OpenInbox) -> None:
    alive = await inbox_of()
    late = await cut_off(await inbox_of(SHORT))
    await eventually(lambda: _claimed_or_none(alive, a_message()))

    with pytest.raises(LeaseLostError):
        await alive.begin_effect(late)
    with pytest.raises(LeaseLostError):
        await alive.begin_again(late)


async def test_a_run_that_was_cut_off_while_it_acted_leaves_a_doubt(inbox_of: OpenInbox) -> None:
    alive, dead = await inbox_of(), await inbox_of(SHORT)
    owner = await claimed(dead, a_message())
    await dead.begin_effect(owner)
    await dead.stop()
    ticket: Claimed = await eventually(lambda: _claimed_or_none(alive, a_message()))
    assert ticket.in_doubt

    # It stays with the attempts that follow.
    await alive.record(ticket.owner, a_message(), RETRY)
    following = await alive.claim(a_message(attempt=2))
    assert isinstance(following, Claimed)
    assert following.in_doubt


@pytest.mark.parametrize("in_doubt", [True, False])
async def test_an_effect_that_was_begun_is_in_doubt_only_if_its_outcome_says_so(
    inbox_of: OpenInbox, *, in_doubt: bool
) -> None:
    inbox = await inbox_of()
    owner = await claimed(inbox, a_message())
    await inbox.begin_effect(owner)
    await inbox.record(owner, a_message(), RETRY.model_copy(update={"in_doubt": in_doubt}))
    following = await inbox.claim(a_message(attempt=2))

    assert isinstance(following, Claimed)
    assert following.in_doubt is in_doubt


async def test_an_attempt_that_was_put_off_is_run_by_its_latest_copy_alone(inbox_of: OpenInbox) -> None:
    inbox = await inbox_of()
    first = await inbox.claim(a_message())
    assert isinstance(first, Claimed)
    await inbox.record(first.owner, a_message(), SNOOZED)
    again, copy = await asyncio.gather(
        inbox.claim(a_message(snooze_no=1)), inbox.claim(a_message(snooze_no=1))
    )

    assert isinstance(again, Claimed)
    assert isinstance(copy, Busy)
    assert await inbox.claim(a_message()) == Superseded(1, None, 1)
    assert await inbox.record(first.owner, a_message(), SNOOZED) is None
    assert await inbox.record(again.owner, a_message(snooze_no=1), COMPLETED) == COMPLETED
    assert await inbox.claim(a_message(snooze_no=1)) == AlreadyDone(COMPLETED)


async def test_it_is_remembered_since_when_an_attempt_and_its_subtask_wait(inbox_of: OpenInbox) -> None:
    inbox = await inbox_of()
    before = datetime.now(UTC)
    await inbox.record(await claimed(inbox, a_message()), a_message(), RETRY)
    second = await inbox.claim(a_message(attempt=2))
    assert isinstance(second, Claimed)
    await inbox.record(second.owner, a_message(attempt=2), SNOOZED)
    put_off = await inbox.claim(a_message(attempt=2, snooze_no=1))

    assert isinstance(put_off, Claimed)
    assert second.attempt_since is None
    assert second.life_since is not None
    assert put_off.attempt_since is not None
    assert put_off.life_since == second.life_since
    assert before <= second.life_since < put_off.attempt_since


async def test_a_task_that_was_cancelled_is_not_put_off(inbox_of: OpenInbox) -> None:
    inbox = await inbox_of()
    owner = await claimed(inbox, a_message())
    await inbox.cancel("t1")

    assert isinstance(await inbox.record(owner, a_message(), SNOOZED), Cancelled)


@pytest.mark.parametrize("in_doubt", [False, True])
async def test_a_task_that_was_cancelled_says_whether_its_last_attempt_got_an_answer(
    inbox_of: OpenInbox, *, in_doubt: bool
) -> None:
    inbox = await inbox_of()
    owner = await claimed(inbox, a_message())
    await inbox.cancel("t1")
    recorded = await inbox.record(owner, a_message(), RETRY.model_copy(update={"in_doubt": in_doubt}))

    assert isinstance(recorded, Cancelled)
    assert recorded.error is not None
    assert (recorded.error.type == "MayHaveHappened") is in_doubt


async def test_an_outcome_can_be_recorded_without_the_event_loop(inbox_of: OpenInbox) -> None:
    inbox = await inbox_of()
    owner = await claimed(inbox, a_message())

    assert inbox.record_at_once(owner, a_message(), RETRY) == RETRY
    assert await inbox.record(owner, a_message(), COMPLETED) is None
    assert await inbox.claim(a_message()) == AlreadyDone(RETRY)


async def test_replicas_that_start_at_once_make_one_table(database_url: str) -> None:
    replicas = [Records(database_url) for _ in range(2)]
    inboxes = [Inbox(records, "email", lease_seconds=LONG) for records in replicas]
    await asyncio.gather(*(asyncio.to_thread(inbox.make_table) for inbox in inboxes))
    tickets = await asyncio.gather(*(inbox.claim(a_message()) for inbox in inboxes))
    for records in replicas:
        await records.close()

    assert sorted(type(ticket).__name__ for ticket in tickets) == ["Busy", "Claimed"]


async def cut_off(inbox: Inbox) -> str:
    """Claims as a process that then dies; the owner of the claim that it leaves."""
    owner = await claimed(inbox, a_message())
    await inbox.stop()
    return owner


async def _let_it_run_out(inbox: Inbox, owner: str) -> None:
    """As if its process had died and its lease had run out."""
    await inbox.release(owner)
    with inbox._records.engine.begin() as connection:  # noqa: SLF001 - a death cannot be had from outside
        connection.execute(update(INBOX).values(starts=INBOX.c.starts + 1))


async def _claimed_or_none(inbox: Inbox, envelope: Envelope) -> Claimed | None:
    ticket = await inbox.claim(envelope)
    return ticket if isinstance(ticket, Claimed) else None
