"""Schedules on the real clock and the real broker, with two status services at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, select

from database import Records
from devstack.eventually import eventually
from devstack.samples import plan
from devstack.wire import Wire
from ledger import NewSchedule, Plan, create_schedules, new_task_id, next_slot
from ledger.schema import TASKS
from status_service.app import StatusService
from status_service.settings import StatusSettings


@pytest.fixture
async def records(ledger_url: str) -> AsyncIterator[Records]:
    records = Records(ledger_url)
    yield records
    await records.close()


@asynccontextmanager
async def running(amqp_url: str, ledger_url: str, services: int) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for _ in range(services):
            service = StatusService(StatusSettings(amqp_url=amqp_url, ledger_url=ledger_url))
            await service.start()
            stack.push_async_callback(service.stop)
        yield


async def created(records: Records, *plans: Plan) -> None:
    now = datetime.now(UTC)
    wishes = [NewSchedule(new_task_id(), each, now, 100) for each in plans]
    await asyncio.gather(*(records.write(create_schedules, wish) for wish in wishes))


async def released(records: Records) -> dict[str, list[datetime]]:
    """The slots of each schedule of which there is a task, by its name."""

    def query(connection: Connection) -> dict[str, list[datetime]]:
        found: dict[str, list[datetime]] = {}
        columns = (TASKS.c.correlation_id, TASKS.c.slot_at, TASKS.c.created_at)
        for name, slot, created_at in connection.execute(select(*columns).order_by(TASKS.c.slot_at)):
            assert created_at >= slot
            found.setdefault(name, []).append(slot)
        return found

    return await records.read(query)


async def test_two_services_release_each_slot_once_and_publish_it(
    topology_url: str, wire: Wire, records: Records, ledger_url: str
) -> None:
    names = [f"s{n}" for n in range(3)]
    await created(records, *(plan(name, cron=None, every_seconds=1) for name in names))

    async def each_has(number: int) -> bool:
        slots = await released(records)
        return all(len(slots.get(name, [])) >= number for name in names)

    async with running(topology_url, ledger_url, 2):
        await eventually(lambda: each_has(4))
    slots = await released(records)
    published = Counter[str]()
    for _ in range(await wire.ready("email.work")):
        published[str((await wire.take("email.work")).headers["x-task-id"])] += 1

    assert all(len(set(each)) == len(each) for each in slots.values())
    assert set(published.values()) == {1}
    # The last ones may be with the sweep that was just stopped.
    assert sum(published.values()) >= 3 * 3


async def test_a_service_that_comes_back_makes_up_for_what_was_missed(
    topology_url: str, wire: Wire, records: Records, ledger_url: str
) -> None:
    # Due while nobody is there.
    await created(records, plan("missed", cron=None, every_seconds=1))
    await eventually(lambda: _is_due(records))
    async with running(topology_url, ledger_url, 1):
        message = await wire.take("email.work")

    assert message.correlation_id == "missed"


async def _is_due(records: Records) -> bool:
    due = await records.read(next_slot)
    return due is not None and due <= datetime.now(UTC)
