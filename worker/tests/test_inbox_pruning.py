"""What an inbox prunes, and what it must still recognise."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, func, select, update

from waybill_contracts.wire.envelope import Envelope
from waybill_contracts.wire.lifecycle import ErrorInfo
from waybill_database import Records
from waybill_ledger import new_task_id
from waybill_testkit.samples import email_event, envelope_of
from waybill_worker.broker.connection import QueueStats
from waybill_worker.inbox.cancelled_tasks import CANCELLED
from waybill_worker.inbox.claims import AlreadyDone, Claimed, Superseded
from waybill_worker.inbox.inbox import Inbox
from waybill_worker.inbox.pruning import (
    PASSES_UNTIL_WARNING,
    STEP,
    InboxPruner,
    InboxStep,
    PrunedInbox,
    prune_cancelled,
    prune_inbox,
)
from waybill_worker.inbox.table import INBOX
from waybill_worker.outcome import Completed, RetryLater

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
Write = Callable[[Connection, Sequence[InboxStep]], Sequence[PrunedInbox]]
EMPTY, FULL = QueueStats(waiting=0, consumers=1), QueueStats(waiting=1, consumers=1)


def made(ago: timedelta) -> str:
    """The id of a task of so long ago."""
    now = UUID(new_task_id()).int
    then = now - (int(ago.total_seconds() * 1000) << 80)
    return str(UUID(int=then))


class Service:
    def __init__(self, url: str) -> None:
        self.records = Records(url)
        self.inbox = Inbox(self.records, "email", lease_seconds=60)
        self.inbox.make_table()
        self.queue: QueueStats | None = EMPTY
        self.pruner = self.started_anew()

    def started_anew(self) -> InboxPruner:
        async def look() -> QueueStats | None:
            return self.queue

        return InboxPruner(self.records, "email", keep=KEEP, queue_stats=look)

    async def did(self, *, ago: timedelta, outcome: Completed | RetryLater | None = COMPLETED) -> Envelope:
        """A claim of so long ago, and what came of it."""
        message = envelope_of(email_event(), made(ago))
        ticket = await self.inbox.claim(message)
        assert isinstance(ticket, Claimed)
        if outcome is not None:
            await self.inbox.record(ticket.owner, message, outcome)
        with self.records.engine.begin() as connection:
            connection.execute(
                update(INBOX).where(INBOX.c.task_id == message.task_id).values(lease_until=NOW - ago)
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
    # The tasks of one page were cancelled just now, although they are as old as the rest.
    late = [made(KEEP + 3 * DAY) for _ in range(STEP)]
    old = [made(KEEP + 2 * DAY) for _ in range(5)]
    for task_id in (*late, *old, young := made(DAY)):
        await service.inbox.cancel(task_id)
    with service.records.engine.begin() as connection:
        connection.execute(update(CANCELLED).where(CANCELLED.c.task_id.in_(old)).values(at=NOW - KEEP - DAY))

    assert await service.pruner.prune() == len(old)

    for task_id in (late[0], young):
        ticket = await service.inbox.claim(envelope_of(email_event(), task_id))
        assert isinstance(ticket, Claimed)
        assert ticket.is_cancelled


@pytest.mark.parametrize("write", [prune_inbox, prune_cancelled])
async def test_a_walk_ends_where_tasks_are_young(service: Service, write: Write) -> None:
    for _ in range(3):
        await service.inbox.cancel((await service.did(ago=DAY)).task_id)
    step = InboxStep("email", NOW - KEEP, most=2)

    assert await service.records.write(write, step) == PrunedInbox(0, after=None)
    older = replace(step, before=NOW)
    assert (await service.records.write(write, older)).after is not None


async def test_ids_of_another_make_are_walked_past(service: Service) -> None:
    for number in range(STEP + 1):
        await service.inbox.cancel(f"task-{number:04}")
    with service.records.engine.begin() as connection:
        connection.execute(update(CANCELLED).values(at=NOW - KEEP - DAY))

    assert await service.pruner.prune() == STEP + 1


async def test_a_queue_that_is_never_empty_is_told_of_once_in_a_while(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.queue = FULL
    for _ in range(2 * PASSES_UNTIL_WARNING):
        assert await service.pruner.prune() == 0

    warnings = [line for line in capsys.readouterr().out.splitlines() if "the inbox grows" in line]
    assert len(warnings) == 2
