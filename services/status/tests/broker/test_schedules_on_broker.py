"""Schedules on the real clock and the real broker, with two status services at once."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, select

from waybill_database import Records
from waybill_ledger import Missed, NewSchedule, Plan, create_schedules, new_task_id, outlook
from waybill_ledger.schema.tables import TASKS
from waybill_status.app import StatusService
from waybill_status.settings import StatusSettings
from waybill_testkit.eventually import eventually
from waybill_testkit.machine import ForkedProcess
from waybill_testkit.samples import plan
from waybill_testkit.wire import Wire


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


async def test_services_that_are_killed_again_and_again_neither_lose_nor_double_a_slot(
    topology_url: str, records: Records, ledger_url: str
) -> None:
    number, kills = 12, 0
    environment = os.environ | {"WAYBILL_AMQP_URL": topology_url, "WAYBILL_LEDGER_URL": ledger_url}

    @contextmanager
    def process() -> Iterator[ForkedProcess]:
        started = ForkedProcess("waybill_status", env=environment)
        try:
            yield started
        finally:
            started.kill()
            started.wait()

    ends_at = datetime.now(UTC) + timedelta(seconds=number + 0.5)
    make_up: dict[str, Any] = {"missed": Missed.RUN_ALL, "missed_limit": 100}
    names = [f"s{n}" for n in range(5)]
    await created(
        records, *(plan(name, cron=None, every_seconds=1, ends_at=ends_at, **make_up) for name in names)
    )

    async def some_more(than: int) -> bool:
        return sum(map(len, (await released(records)).values())) > than

    with process():  # and beside it others, each killed as soon as anything more was released
        while datetime.now(UTC) < ends_at or kills < 3:
            so_far = sum(map(len, (await released(records)).values()))
            if so_far == number * len(names):
                break
            with process():
                await eventually(partial(some_more, so_far))
            kills += 1
        await eventually(partial(some_more, number * len(names) - 1))

    slots = await released(records)
    assert {name: len(set(slots[name])) for name in names} == dict.fromkeys(names, number)
    assert all(len(slots[name]) == number for name in names)
    assert kills > 0


async def _is_due(records: Records) -> bool:
    due = (await records.read(outlook)).slot_at
    return due is not None and due <= datetime.now(UTC)
