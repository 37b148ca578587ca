"""Tasks for later, from a second to ten years, on the real clock and the real broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from sqlalchemy import select

from waybill_contracts.states import State
from waybill_database import Records
from waybill_ledger import (
    Cancellation,
    NewTask,
    Prevented,
    Submission,
    TaskFilter,
    accept,
    cancel,
    get_task,
    list_tasks,
    outlook,
)
from waybill_ledger.schema.tables import OUTBOX
from waybill_status.app import StatusService
from waybill_status.settings import StatusSettings
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import new_task
from waybill_testkit.wire import Wire

#: Together, far more than the sweep takes at once.
DUE, WAITING = 700, 3000


@asynccontextmanager
async def running(amqp_url: str, ledger_url: str) -> AsyncIterator[None]:
    service = StatusService(StatusSettings(amqp_url=amqp_url, ledger_url=ledger_url))
    await service.start()
    try:
        yield
    finally:
        await service.stop()


async def accepted(records: Records, *tasks: NewTask) -> None:
    await asyncio.gather(*(records.write(accept, Submission(task)) for task in tasks))


async def states(records: Records, tasks: list[NewTask]) -> set[State]:
    found = [await records.read(partial(get_task, task_id=task.id)) for task in tasks]
    return {task.state for task in found if task is not None}


async def test_what_is_due_is_published_once_and_never_early_and_the_rest_waits_through_restarts(
    topology_url: str, records: Records, ledger_url: str
) -> None:
    now = datetime.now(UTC)
    soon, sooner = now + timedelta(seconds=6), now + timedelta(seconds=2)
    due = [new_task(created_at=now, due_at=soon if n % 2 else sooner) for n in range(DUE)]
    years = [new_task(created_at=now, due_at=now + timedelta(hours=1 + n * 29)) for n in range(WAITING)]
    cancelled = new_task(created_at=now, due_at=soon)
    await accepted(records, *due, *years, cancelled)
    assert years[-1].due_at is not None
    assert years[-1].due_at - now > timedelta(days=3600)
    assert await records.write(cancel, Cancellation(cancelled.id, now)) == Prevented()

    came: dict[str, list[datetime]] = {}

    async def take(message: AbstractIncomingMessage) -> None:
        came.setdefault(str(message.headers["x-task-id"]), []).append(datetime.now(UTC))
        await message.ack()

    async with await aio_pika.connect(topology_url) as connection:
        queue = await (await connection.channel()).get_queue("email.work", ensure=False)
        await queue.consume(take)
        async with running(topology_url, ledger_url):
            await eventually(lambda: len(came) >= DUE // 2)
        # What comes due while nobody is there is not forgotten.
        await eventually(lambda: datetime.now(UTC) > soon)
        async with running(topology_url, ledger_url):
            await eventually(lambda: len(came) >= DUE)
            await eventually(partial(_only_the_future_is_left, records, now))

    assert came.keys() == {task.id for task in due}
    for task in due:
        assert task.due_at is not None
        assert came[task.id][0] >= task.due_at
    # A sweep that was stopped between a publish and its note of it publishes again.
    assert sum(map(len, came.values())) < 2 * DUE
    assert await states(records, years[::100]) == {State.SCHEDULED}
    page = await records.read(
        partial(list_tasks, wanted=TaskFilter(state=State.SCHEDULED), limit=5, cursor=None)
    )
    assert {task.id for task in page.tasks} <= {task.id for task in years}
    assert await states(records, [cancelled]) == {State.CANCELLED}


async def test_a_service_that_is_stopped_leaves_no_row_taken(
    topology_url: str, wire: Wire, records: Records, ledger_url: str
) -> None:
    long_ago = datetime.now(UTC) - timedelta(minutes=1)
    tasks = [new_task(created_at=long_ago) for _ in range(DUE)]
    await accepted(records, *tasks)
    async with running(topology_url, ledger_url):
        await wire.take("email.work")  # so the sweep is at it
    soon = datetime.now(UTC) + timedelta(seconds=5)
    taken = select(OUTBOX.c.task_id).where(OUTBOX.c.available_at > soon)

    assert await records.read(lambda connection: connection.scalars(taken).all()) == []


async def _only_the_future_is_left(records: Records, now: datetime) -> bool:
    due = (await records.read(outlook)).outbox_at
    return due == now + timedelta(hours=1)
