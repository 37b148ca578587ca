"""The status service on the real broker and on both databases."""

import asyncio
import gc
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.privacy.seal import Keyring
from waybill_contracts.states import State
from waybill_contracts.wire.envelope import Envelope
from waybill_contracts.wire.lifecycle import LIFECYCLE_BATCH, LifecycleEvent, LifecycleType
from waybill_database import Records
from waybill_ledger import NewTask, Submission, Task, TaskFilter, accept, get_task, list_tasks, outlook
from waybill_status.app import StatusService
from waybill_status.outbox import publication as publishing
from waybill_status.settings import StatusSettings
from waybill_testkit.broker import Broker
from waybill_testkit.eventually import eventually
from waybill_testkit.proxy import Proxy
from waybill_testkit.samples import new_task, reported, sync_event, user_event
from waybill_testkit.wire import Wire

LONG_AGO = datetime.now(UTC) - timedelta(minutes=1)


class Ledger:
    """The ledger as the test sees it, beside the service."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.records = Records(url)

    async def accepted(self, *tasks: NewTask) -> None:
        await asyncio.gather(*(self.records.write(accept, Submission(task)) for task in tasks))

    async def task(self, task_id: str) -> Task:
        task = await self.records.read(partial(get_task, task_id=task_id))
        assert task is not None
        return task

    async def is_in(self, task_id: str, state: State) -> bool:
        return (await self.task(task_id)).state is state

    async def outbox_is_empty(self) -> bool:
        return (await self.records.read(outlook)).outbox_at is None

    async def mails(self) -> list[Task]:
        wanted = TaskFilter(kind=EmailRequested.KIND)
        page = await self.records.read(partial(list_tasks, wanted=wanted, limit=100, cursor=None))
        return page.tasks


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Ledger]:
    ledger = Ledger(ledger_url)
    yield ledger
    await ledger.records.close()


@asynccontextmanager
async def running(url: str, ledger: Ledger, **values: Any) -> AsyncIterator[StatusService]:
    service = StatusService(StatusSettings(amqp_url=url, ledger_url=ledger.url, **values))
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


def left_behind(**fields: Any) -> NewTask:
    """A task whose gateway died before it could publish it."""
    return new_task(created_at=LONG_AGO, **fields)


def task_id_of(message: AbstractIncomingMessage) -> str:
    return str(message.headers["x-task-id"])


async def report(wire: Wire, *events: LifecycleEvent) -> None:
    await wire.put("events", events[0].type, LIFECYCLE_BATCH.dump_json(list(events)), {})


async def test_it_declares_the_topology_and_publishes_what_a_dead_gateway_left(
    vhost_url: str, ledger: Ledger
) -> None:
    task = left_behind(priority=7)
    await ledger.accepted(task)
    async with running(vhost_url, ledger):
        await eventually(ledger.outbox_is_empty)
        async with _connected(vhost_url) as wire:
            message = await wire.take("email.work")

    assert Envelope.from_headers(message.headers).task_id == task.id
    assert (message.correlation_id, message.priority) == (task.id, 7)
    assert message.body == task.payload


async def test_a_scheduled_task_is_released(topology_url: str, wire: Wire, ledger: Ledger) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    task = new_task(due_at=soon)
    await ledger.accepted(task)
    async with running(topology_url, ledger):
        message = await wire.take("email.work")
        came = datetime.now(UTC)

    assert came >= soon
    assert message.headers["x-task-id"] == task.id
    assert await ledger.is_in(task.id, State.PENDING)


async def test_what_services_tell_gets_into_the_ledger(topology_url: str, wire: Wire, ledger: Ledger) -> None:
    task = new_task(user_event())
    await ledger.accepted(task)
    tell = partial(reported, task_id=task.id, kind=task.kind)
    async with running(topology_url, ledger):
        await report(wire, tell(LifecycleType.STARTED), tell(LifecycleType.STARTED, service="sync"))
        await eventually(lambda: ledger.is_in(task.id, State.RUNNING))
        await report(wire, tell(LifecycleType.COMPLETED), tell(LifecycleType.COMPLETED, service="sync"))
        await eventually(lambda: ledger.is_in(task.id, State.COMPLETED))


async def test_an_unreadable_report_is_a_dead_letter_and_the_others_go_on(
    topology_url: str, wire: Wire, ledger: Ledger
) -> None:
    task = new_task()
    await ledger.accepted(task)
    async with running(topology_url, ledger):
        await wire.put("events", "task.started", b'[{"no": "event"}]', {"x-strange": 1})
        await report(wire, reported(LifecycleType.COMPLETED, task.id))
        letter = await wire.take("status.dlq")
        await eventually(lambda: ledger.is_in(task.id, State.COMPLETED))

    assert letter.body == b'[{"no": "event"}]'
    assert (letter.headers["x-dead-reason"], letter.headers["x-strange"]) == ("unreadable", 1)


async def test_a_failure_makes_one_alert_and_the_alerts_own_failure_none(
    topology_url: str, wire: Wire, ledger: Ledger
) -> None:
    task = new_task(user_event())
    await ledger.accepted(task)
    death = reported(LifecycleType.DEAD, task.id, kind=task.kind)
    async with running(topology_url, ledger, ops_address="ops@example.test"):
        for _ in range(3):
            await report(wire, death, death)
        # The task itself is published there too.
        while (alert := await wire.take("email.work")).routing_key != EmailRequested.KIND:
            continue
        alert_id = task_id_of(alert)
        await report(wire, reported(LifecycleType.DEAD, alert_id))
        await eventually(lambda: ledger.is_in(alert_id, State.FAILED))

    assert mail_of(alert).to == "ops@example.test"
    assert [mail.id for mail in await ledger.mails()] == [alert_id]


async def test_a_burst_of_failures_is_told_once_by_two_services_and_the_rest_in_digests(
    topology_url: str, wire: Wire, ledger: Ledger
) -> None:
    tasks = [new_task(sync_event(str(number))) for number in range(60)]
    await ledger.accepted(*tasks)
    deaths = [reported(LifecycleType.DEAD, task.id, service="sync", kind=task.kind) for task in tasks]
    alerts: dict[str, Any] = {"ops_address": "ops@example.test", "alert_window_seconds": 3}
    async with running(topology_url, ledger, **alerts), running(topology_url, ledger, **alerts):
        for start in range(0, len(deaths), 5):
            await report(wire, *deaths[start : start + 5])
        # How many digests it takes depends on how fast the burst is.
        told_in = [await wire.take("email.work")]
        while _failures_told(told_in) < len(deaths):
            told_in.append(await wire.take("email.work"))

    templates = [mail_of(mail).template for mail in told_in]
    assert _failures_told(told_in) == len(deaths)
    assert (templates[0], set(templates[1:])) == ("ops_alert", {"ops_digest"})


async def test_without_an_address_there_are_no_alerts(topology_url: str, wire: Wire, ledger: Ledger) -> None:
    task = new_task(user_event())
    await ledger.accepted(task)
    async with running(topology_url, ledger):
        deaths = [reported(LifecycleType.DEAD, task.id, service=s, kind=task.kind) for s in ("email", "sync")]
        await report(wire, *deaths)
        await eventually(lambda: ledger.is_in(task.id, State.FAILED))

    assert await ledger.mails() == []


async def test_a_broker_that_is_away_gets_everything_when_it_is_back(
    topology_url: str, proxy: Proxy, wire: Wire, ledger: Ledger
) -> None:
    tasks = [left_behind() for _ in range(20)]
    async with running(proxy.url(topology_url), ledger):
        proxy.cut(refuse=True)
        await ledger.accepted(*tasks)
        # It is tried, and put back.
        await eventually(lambda: _has_been_tried(ledger))
        proxy.resume()
        await eventually(ledger.outbox_is_empty)
        messages = [await wire.take("email.work") for _ in tasks]

    assert {message.headers["x-task-id"] for message in messages} >= {task.id for task in tasks}


async def test_a_broker_that_is_not_there_yet_is_waited_for(
    topology_url: str, proxy: Proxy, wire: Wire, ledger: Ledger
) -> None:
    proxy.cut(refuse=True)
    task = left_behind()
    await ledger.accepted(task)
    settings = StatusSettings(amqp_url=proxy.url(topology_url), ledger_url=ledger.url)
    service = StatusService(settings)
    starting = asyncio.create_task(service.start())
    await asyncio.wait({starting}, timeout=0.5)
    assert not starting.done()
    proxy.resume()
    await starting
    message = await wire.take("email.work")
    await service.stop()

    assert message.headers["x-task-id"] == task.id


async def test_two_at_once_publish_each_task_once(topology_url: str, wire: Wire, ledger: Ledger) -> None:
    tasks = [left_behind() for _ in range(200)]
    await ledger.accepted(*tasks)
    async with running(topology_url, ledger), running(topology_url, ledger):
        await eventually(ledger.outbox_is_empty)
    messages = [await wire.take("email.work") for _ in tasks]

    assert await wire.ready("email.work") == 0
    assert sorted(map(task_id_of, messages)) == sorted(task.id for task in tasks)


async def test_what_was_deleted_is_declared_again_after_a_reconnect(
    topology_url: str, proxy: Proxy, wire: Wire, ledger: Ledger
) -> None:
    async with running(proxy.url(topology_url), ledger):
        gc.collect()  # the client's connection holds its channels by weak references only
        proxy.cut(refuse=True)
        await wire.channel.queue_delete("email.work")
        proxy.resume()
        await ledger.accepted(left_behind())
        await eventually(ledger.outbox_is_empty)
        # Were the queue not there, the publish would have been unroutable.
        assert (await wire.take("email.work")).routing_key == "email.requested"


async def test_a_sweep_that_breaks_down_ends_the_process(
    topology_url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def defect(*_: object) -> None:
        raise LookupError("a defect")

    async with running(topology_url, ledger) as service:
        watching = asyncio.create_task(service.wait_failed())
        monkeypatch.setattr(publishing, "relay_all", defect)
        await ledger.accepted(left_behind())
        await eventually(watching.done)
        await watching


async def test_a_well_service_is_not_broken(topology_url: str, ledger: Ledger, broker: Broker) -> None:
    assert broker.management.answers()
    async with running(topology_url, ledger) as service:
        watching = asyncio.create_task(service.wait_failed())
        done, _ = await asyncio.wait({watching}, timeout=0.5)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    assert not done


async def test_without_a_schema_the_process_ends_and_says_what_to_do(
    vhost_url: str, database_url: str
) -> None:
    environment = os.environ | {"WAYBILL_AMQP_URL": vhost_url, "WAYBILL_LEDGER_URL": database_url}
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "waybill_status"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode != 0
    assert "run `python -m waybill_ledger upgrade`" in ran.stdout + ran.stderr


def mail_of(message: AbstractIncomingMessage) -> EmailRequested:
    """The mail that a message asks for, opened with the keys of the run."""
    keys = Keyring.of(os.environ["WAYBILL_SEALING_KEYS"])
    return EmailRequested.model_validate(keys.open_fields(json.loads(message.body), task_id_of(message)))


def _failures_told(mails: list[AbstractIncomingMessage]) -> int:
    events = [mail_of(mail) for mail in mails]
    return sum(event.params.get("failures", 1) for event in events)


async def _has_been_tried(ledger: Ledger) -> bool:
    due = (await ledger.records.read(outlook)).outbox_at
    return due is not None and due > LONG_AGO + timedelta(seconds=30)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Wire]:
    async with await aio_pika.connect(url) as connection:
        yield Wire(await connection.channel())
