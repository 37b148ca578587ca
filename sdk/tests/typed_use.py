"""Right and wrong uses of the API, for type checkers alone: it is never imported.

mypy strict (`make types`) and pyright strict (test_typed_use.py) fail if a right use is refused, or a wrong
one is accepted: its `type: ignore`, which has mypy's code, is unused then.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, assert_type

import psycopg
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from waybill import (
    AsyncClient,
    Attempt,
    Client,
    Event,
    FileRef,
    Service,
    ServiceSettings,
    Submission,
    SyncAttempt,
    outbox,
)
from waybill.client import AcceptedTask, Task, TaskEvent
from waybill.fastapi import Tasks
from waybill.problems import ClientError, InvalidDataError
from waybill.testing import MemoryGateway, run_handler
from waybill_worker.attempt import Attempt as WorkerAttempt
from waybill_worker.attempt import SyncAttempt as WorkerSyncAttempt


class Ordered(Event, kind="order.placed"):
    order_id: str


class Paid(Event, kind="order.paid"):
    amount: int


class ShopSettings(ServiceSettings):
    shop_name: str = "shop"


@dataclass
class Shop:
    name: str


@asynccontextmanager
async def shop(settings: ShopSettings) -> AsyncGenerator[Shop]:
    yield Shop(settings.shop_name)


plain = Service("plain")
assert_type(plain, Service[None])
service = Service("shop", settings=ShopSettings, resources=shop, release="1")
assert_type(service, Service[Shop])

# The settings of the resources must be those of the service.
Service("shop", settings=ServiceSettings, resources=shop)  # type: ignore[arg-type]


@service.handles(Ordered, attempts=3, hard_limit=60)
async def with_resources(event: Ordered, attempt: Attempt, shop: Shop) -> dict[str, str]:
    return {"shop": shop.name, "order": event.order_id, "key": attempt.effect_key}


@service.handles(Paid)
async def without_resources(event: Paid, attempt: Attempt) -> None:
    del event, attempt


@service.handles(Paid)  # type: ignore[arg-type]
async def of_another_event(event: Ordered, attempt: Attempt) -> None:
    del event, attempt


@service.handles(Paid)  # type: ignore[arg-type]
async def with_other_resources(event: Paid, attempt: Attempt, shop: str) -> None:
    del event, attempt, shop


@plain.handles(Paid)  # type: ignore[arg-type]
async def with_resources_of_nobody(event: Paid, attempt: Attempt, shop: Shop) -> None:
    del event, attempt, shop


@service.handles(Paid)  # type: ignore[type-var]
async def with_a_result_that_is_no_object(event: Paid, attempt: Attempt) -> str:
    return f"{event.amount} {attempt.attempt}"


service.handles(Paid, attempts="three")  # type: ignore[arg-type]
service.handles(Paid, retries=3)  # type: ignore[call-arg]
service.handles(dict)  # type: ignore[type-var]


@service.handles(Paid, processes=True)
def plain_handler(event: Paid, attempt: SyncAttempt) -> dict[str, int]:
    attempt.checkpoint()
    return {"amount": event.amount}


@service.handles(Paid)  # type: ignore[type-var]
def plain_handler_with_an_async_attempt(event: Paid, attempt: Attempt) -> dict[str, int]:
    return {"amount": event.amount, "attempt": attempt.attempt}


@plain.task
def archive(attempt: SyncAttempt, month: str) -> None:
    attempt.progress(0.5, month)


@service.task
async def remind(attempt: Attempt, shop: Shop, email: str, days: int = 3) -> dict[str, str]:
    return {"to": email, "from": shop.name, "key": f"{attempt.effect_key}{days}"}


@plain.task(attempts=2)
async def close(month: str, *, dry: bool = False) -> None:
    del month, dry


def what_the_worker_gives(attempt: WorkerAttempt, plain: WorkerSyncAttempt) -> tuple[Attempt, SyncAttempt]:
    return attempt, plain


async def submits(tasks: Tasks, session: Session, async_session: AsyncSession) -> None:
    assert_type(close.submit("2026-01", dry=True), AcceptedTask)
    assert_type(await close.using(delay_seconds=5, priority="low").asubmit("2026-01"), AcceptedTask)
    assert_type(close.submit_in(session, "2026-01"), str)
    assert_type(await close.submit_in(async_session, "2026-01"), str)
    await close.local("2026-01")
    assert_type(await remind.local("ann@example.com"), dict[str, str])
    archive.local("2026-01")
    close.submit(2026)  # type: ignore[arg-type]
    close.submit_in(session, "2026-01", dry="no")  # type: ignore[call-overload]
    close.using(priority="urgent")  # type: ignore[arg-type]
    close.using(countdown=5)  # type: ignore[call-arg]
    tasks.add_task(close, "2026-01", dry=True)
    tasks.add_task(remind.using(delay_seconds=5), "ann@example.com", days=4)
    tasks.add_task(Paid, amount=7)
    tasks.add_task(close)  # type: ignore[call-overload]
    tasks.add_task(close, 2026)  # type: ignore[call-overload]
    tasks.add_task(Paid, euros=7)  # type: ignore[call-overload]
    tasks.add_task(print, "2026-01")  # type: ignore[call-overload]


async def uses(attempt: Attempt) -> None:
    assert_type(remind.event("ann@example.com", days=4), Event)
    remind.event("ann@example.com", days="four")  # type: ignore[arg-type]
    remind.event()  # type: ignore[call-arg]
    close.event("2026-01", dry=True)
    archive.event("2026-01")
    archive.event(1)  # type: ignore[arg-type]
    close.event("2026-01", True)  # type: ignore[call-arg] # noqa: FBT003
    assert_type(await remind(attempt, Shop("shop"), "ann@example.com"), dict[str, str])
    assert_type(await with_resources(Ordered(order_id="7"), attempt, Shop("shop")), dict[str, str])
    await with_resources(Paid(amount=1), attempt, Shop("shop"))  # type: ignore[arg-type]


def writes(session: Session, connection: psycopg.Connection[tuple[object]], engine: Engine) -> None:
    assert_type(outbox.submit(session, Ordered(order_id="7"), key="order-7", priority="low"), str)
    assert_type(outbox.submit(connection, remind.event("ann@example.com"), delay_seconds=60), str)
    outbox.submit(engine, Ordered(order_id="7"))  # type: ignore[call-overload]
    outbox.submit(session, "order.placed")  # type: ignore[call-overload]
    outbox.submit(session, Ordered(order_id="7"), priority="urgent")  # type: ignore[call-overload]


async def writes_async(session: AsyncSession) -> None:
    assert_type(await outbox.submit(session, Ordered(order_id="7")), str)
    outbox.submit(session, Ordered(order_id="7"))  # type: ignore[unused-coroutine]
    outbox.submit_many(session, [Ordered(order_id="7")])  # type: ignore[unused-coroutine]
    close.submit_in(session, "2026-01")  # type: ignore[unused-coroutine]
    close.asubmit("2026-01")  # type: ignore[unused-coroutine]


def calls(client: Client, event: Ordered) -> None:
    assert_type(client.submit(event, key="order-7"), AcceptedTask)
    assert_type(client.wait("7", timeout=60), Task)
    client.submit("order.placed", {"order_id": "7"}, priority="low", version=1)
    client.submit_many([event, Submission(event, key="order-7")])
    client.submit("order.placed")  # type: ignore[call-overload]
    client.submit(event, {"order_id": "7"})  # type: ignore[call-overload]
    client.submit(event, attempts=3)  # type: ignore[call-overload]
    client.submit_many([{"kind": "order.placed"}])  # type: ignore[list-item]
    client.list(kind=7)  # type: ignore[arg-type]
    client.wait("7", timeout="soon")  # type: ignore[arg-type]
    client.schedules.create("daily", event, every=60)  # type: ignore[call-arg]


async def async_calls(client: AsyncClient, event: Ordered) -> None:
    assert_type(await client.submit(event), AcceptedTask)
    async for task in client.list(state="failed"):
        assert_type(task, Task)
    async for change in client.events("7"):
        assert_type(change, TaskEvent)


def files(client: Client, stream: BinaryIO) -> None:
    assert_type(client.upload(Path("scan.pdf"), deadline=60), FileRef)
    assert_type(client.download("7", "invoice.pdf", stream), int)
    client.upload("scan.pdf")  # type: ignore[arg-type]
    client.download("7", "invoice.pdf", "invoice.pdf")  # type: ignore[arg-type]


def fails(client: Client, event: Ordered) -> None:
    try:
        client.submit(event)
    except InvalidDataError as problem:
        assert_type(problem.errors[0].field, str)
        problem.fields  # type: ignore[attr-defined] # noqa: B018
    except ClientError as error:
        assert_type(error.is_temporary, bool)


async def tests_of_users(memory: MemoryGateway) -> None:
    assert_type(memory.events(Ordered), list[Ordered])
    memory.events("order.placed")  # type: ignore[arg-type]
    run = await run_handler(service, Ordered(order_id="7"), resources=Shop("shop"))
    assert_type(run.result["order"], Any)
    await run_handler(service, Ordered(order_id="7"), resources="shop")  # type: ignore[misc]
