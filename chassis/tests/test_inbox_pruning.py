"""What an inbox forgets, and what it must go on recognising."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from chassis.cancelled import CANCELLED
from chassis.claims import AlreadyDone, Claimed, Superseded
from chassis.connection import QueueLook
from chassis.inbox import Inbox
from chassis.inbox_pruning import STEP, InboxPruner
from chassis.inbox_table import INBOX
from chassis.outcome import Completed, RetryLater
from contracts.envelope import Envelope
from contracts.lifecycle import ErrorInfo
from database import Records
from devstack.samples import email_event, envelope_of

NOW = datetime.now(UTC)
KEEP, DAY = timedelta(days=45), timedelta(days=1)
COMPLETED = Completed(at=NOW, seconds=1, max_attempts=4, result={})
RETRY = RetryLater(
    at=NOW,
    seconds=1,
    max_attempts=4,
    error=ErrorInfo(type="E", message="m"),
    wait_seconds=2,
    next_attempt_at=NOW,
)
EMPTY, FULL = QueueLook(waiting=0, consumers=1), QueueLook(waiting=1, consumers=1)


class Service:
    def __init__(self, url: str) -> None:
        self.records = Records(url)
        self.inbox = Inbox(self.records, "email", lease_seconds=60)
        self.inbox.make_table()
        self.queue: QueueLook | None = EMPTY
        self.pruner = self.started_anew()

    def started_anew(self) -> InboxPruner:
        async def look() -> QueueLook | None:
            return self.queue

        return InboxPruner(self.records, "email", keep=KEEP, look=look)

    async def did(self, *, ago: timedelta, outcome: Completed | RetryLater | None = COMPLETED) -> Envelope:
        """A claim of so long ago, and what came of it."""
        message = envelope_of(email_event())
        ticket = await self.inbox.claim(message)
        assert isinstance(ticket, Claimed)
        if outcome is not None:
            await self.inbox.record(ticket.owner, message, outcome)
        with self.records.engine.begin() as connection:
            connection.execute(
                update(INBOX)
                .where(INBOX.c.task_id == message.task_id)
                .values(lease_until=NOW - ago, life_since=NOW - ago)
            )
        return message

    def rows(self) -> int:
        with self.records.engine.begin() as connection:
            return connection.scalar(select(func.count()).select_from(INBOX)) or 0


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[Service]:
    service = Service(database_url)
    yield service
    await service.records.close()


async def test_what_was_done_long_ago_goes_and_the_rest_is_still_recognised(service: Service) -> None:
    old = [await service.did(ago=KEEP + DAY) for _ in range(STEP + 5)]
    young = await service.did(ago=KEEP - DAY)

    assert await service.pruner.prune() == len(old)

    assert isinstance(await service.inbox.claim(young), AlreadyDone)
    assert service.rows() == 1


async def test_a_late_redelivery_is_recognised_as_long_as_any_message_may_wait(service: Service) -> None:
    # 36 hours on the ladder, and a day of snoozes: much less than what is kept.
    late = await service.did(ago=timedelta(hours=36) + DAY)
    assert await service.pruner.prune() == 0
    assert isinstance(await service.inbox.claim(late), AlreadyDone)


async def test_nothing_goes_before_what_waited_for_the_service_has_been_recognised(service: Service) -> None:
    # The service was away for months; a copy of what it had done waits in its queue.
    done = await service.did(ago=KEEP + 60 * DAY)
    for seen in (None, FULL):
        service.queue = seen
        assert await service.pruner.prune() == 0
    assert isinstance(await service.inbox.claim(done), AlreadyDone)

    service.queue = EMPTY
    assert await service.pruner.prune() == 1
    # From now on messages wait behind those that it does, and need no second look.
    service.queue = FULL
    assert await service.pruner.prune() == 0
    assert await service.started_anew().prune() == 0


async def test_a_claim_without_an_outcome_stays_for_its_next_run(service: Service) -> None:
    message = await service.did(ago=KEEP + DAY, outcome=None)

    assert await service.pruner.prune() == 0

    ticket = await service.inbox.claim(message)
    assert isinstance(ticket, Claimed)
    assert ticket.begun_before


async def test_a_redrive_runs_whatever_was_forgotten_and_is_recognised_itself(service: Service) -> None:
    first = await service.did(ago=KEEP + DAY)
    await service.pruner.prune()
    redriven = envelope_of(email_event(), first.task_id, redrive_no=1)

    ticket = await service.inbox.claim(redriven)
    assert isinstance(ticket, Claimed)
    await service.inbox.record(ticket.owner, redriven, COMPLETED)

    assert await service.pruner.prune() == 0
    assert isinstance(await service.inbox.claim(redriven), AlreadyDone)


async def test_a_later_attempt_takes_over_what_is_looked_at(service: Service) -> None:
    first = await service.did(ago=KEEP + DAY, outcome=RETRY)
    second = envelope_of(email_event(), first.task_id, attempt=2)
    assert isinstance(await service.inbox.claim(second), Claimed)

    assert await service.pruner.prune() == 0
    assert isinstance(await service.inbox.claim(first), Superseded)


async def test_cancellations_go_by_their_age(service: Service) -> None:
    for task_id in ("old", "young"):
        await service.inbox.cancel(task_id)
    with service.records.engine.begin() as connection:
        connection.execute(update(CANCELLED).where(CANCELLED.c.task_id == "old").values(at=NOW - KEEP - DAY))

    assert await service.pruner.prune() == 1

    ticket = await service.inbox.claim(envelope_of(email_event(), "young"))
    assert isinstance(ticket, Claimed)
    assert ticket.called_off
