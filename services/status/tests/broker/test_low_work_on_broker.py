"""Low work and work in a hurry on the real broker: who waits for whom, counted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from waybill_database import Records
from waybill_ledger import (
    LOW_PRIORITY,
    Cancellation,
    NewTask,
    Prevented,
    Submission,
    accept,
    cancel,
    held_routing_keys,
)
from waybill_status.app import StatusService
from waybill_status.outbox.window import MOST
from waybill_status.settings import StatusSettings
from waybill_testkit.eventually import eventually
from waybill_testkit.proxy import Proxy
from waybill_testkit.samples import email_event, event_in, new_task, user_event
from waybill_testkit.wire import Wire

BULK, HURRIED = 1500, 20


class Taken:
    """Which tasks a consumer has had, in order."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def position(self, task: NewTask) -> int:
        return self.ids.index(task.id)


def low(**fields: Any) -> NewTask:
    return new_task(priority=LOW_PRIORITY, created_at=datetime.now(UTC), **fields)


async def accepted(records: Records, *tasks: NewTask) -> None:
    await asyncio.gather(*(records.write(accept, Submission(task)) for task in tasks))


async def none_is_held(records: Records) -> bool:
    return await records.read(held_routing_keys) == []


@asynccontextmanager
async def running(amqp_url: str, records: Records) -> AsyncIterator[None]:
    url = records.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    # The consumers here tell nothing of what they do, and that is no silence to be mended.
    settings = StatusSettings(amqp_url=amqp_url, ledger_url=url, reconcile_pending_seconds=3600)
    service = StatusService(settings)
    await service.start()
    try:
        yield
    finally:
        await service.stop()


@asynccontextmanager
async def consumer(amqp_url: str, queue: str, *, seconds_each: float) -> AsyncIterator[Taken]:
    """A service at a pace of its own."""
    taken = Taken()

    async def take(message: AbstractIncomingMessage) -> None:
        await asyncio.sleep(seconds_each)
        taken.ids.append(str(message.headers["x-task-id"]))
        await message.ack()

    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=5)
        source = await channel.get_queue(queue, ensure=False)
        await source.consume(take)
        yield taken


async def test_a_few_mails_in_a_hurry_do_not_wait_for_thousands_in_bulk(
    topology_url: str, wire: Wire, records: Records
) -> None:
    """Pain: short tasks are stuck behind long ones (celery 4819, celery 6500, dramatiq 850)."""
    bulk = [low() for _ in range(BULK)]
    hurried = [new_task() for _ in range(HURRIED)]
    await accepted(records, *bulk)
    async with (
        running(topology_url, records),
        consumer(topology_url, "email.work", seconds_each=0.002) as mail,
    ):
        await eventually(lambda: len(mail.ids) >= BULK // 10)
        for task in hurried:
            await wire.request(event_in(task), task_id=task.id)
        posted_at = len(mail.ids)
        await eventually(lambda: len(mail.ids) == BULK + HURRIED, seconds=120)

    # Never more than a window of bulk was ahead of them, and most of it came after them.
    ahead = max(map(mail.position, hurried)) - posted_at - HURRIED
    assert ahead <= MOST // 2
    assert sorted(mail.ids) == sorted(task.id for task in bulk + hurried)
    # The oldest of it went out first.
    tenth = BULK // 10
    assert max(map(mail.position, bulk[:tenth])) < min(map(mail.position, bulk[-tenth:]))


async def test_two_feeders_publish_each_task_once_at_full_speed(
    topology_url: str, wire: Wire, records: Records
) -> None:
    bulk = [low(event=email_event(f"{n}@bulk.test")) for n in range(300)]
    await accepted(records, *bulk)
    async with (
        running(topology_url, records),
        running(topology_url, records),
        consumer(topology_url, "email.work", seconds_each=0) as mail,
    ):
        await eventually(lambda: len(mail.ids) >= len(bulk))
        await eventually(partial(none_is_held, records))

    assert await wire.ready("email.work") == 0
    assert sorted(mail.ids) == sorted(task.id for task in bulk)


async def test_a_kind_of_two_services_waits_for_the_slower_one(
    topology_url: str, wire: Wire, records: Records
) -> None:
    for number in range(50):
        await wire.put("", "sync.work", b"%d" % number, {})
    await accepted(records, low(event=user_event()), low(event=email_event()))
    async with running(topology_url, records):
        first = await wire.take("email.work")
        assert first.routing_key == "email.requested"
        assert await records.read(held_routing_keys) == ["user.created"]
        for _ in range(50):
            await wire.take("sync.work")
        assert (await wire.take("sync.work")).routing_key == "user.created"
        assert (await wire.take("email.work")).routing_key == "user.created"


async def test_bulk_waits_in_the_ledger_for_a_service_that_is_away_and_can_be_cancelled(
    topology_url: str, wire: Wire, records: Records
) -> None:
    bulk = [low() for _ in range(100)]
    await accepted(records, *bulk)
    async with running(topology_url, records):
        await eventually(partial(_at_least, wire, 1))
        answers = [await records.write(cancel, Cancellation(task.id, datetime.now(UTC))) for task in bulk]
        prevented = [task.id for task, answer in zip(bulk, answers, strict=True) if answer == Prevented()]
        # It takes up its work only now.
        async with consumer(topology_url, "email.work", seconds_each=0) as mail:
            await eventually(lambda: len(mail.ids) == len(bulk) - len(prevented))

    assert len(prevented) > len(bulk) // 2
    assert not set(prevented) & set(mail.ids)


async def test_a_broker_that_goes_away_while_bulk_flows_loses_none_of_it(
    topology_url: str, proxy: Proxy, records: Records
) -> None:
    bulk = [low() for _ in range(400)]
    await accepted(records, *bulk)
    async with (
        running(proxy.url(topology_url), records),
        consumer(topology_url, "email.work", seconds_each=0.002) as mail,
    ):
        for wanted in (20, 150):
            await eventually(partial(_has_taken, mail, wanted))
            proxy.cut(refuse=True)
            proxy.resume()
        await eventually(lambda: len(set(mail.ids)) == len(bulk), seconds=120)
        await eventually(partial(none_is_held, records))

    # What was published and not confirmed is there twice; the services' inbox drops it.
    assert set(mail.ids) == {task.id for task in bulk}


def _has_taken(taken: Taken, number: int) -> bool:
    return len(taken.ids) >= number


async def _at_least(wire: Wire, number: int) -> bool:
    return await wire.ready("email.work") >= number
