"""Spawned tasks and progress on the real broker, with two status services, on both databases."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest

from waybill_contracts.privacy import Keyring
from waybill_contracts.states import State
from waybill_contracts.wire import (
    LIFECYCLE_BATCH,
    LifecycleEvent,
    LifecycleType,
    SpawnedTask,
    spawned_task_id,
)
from waybill_database import Records
from waybill_ledger import NewTask, Submission, Task, TaskFilter, accept, get_task, list_tasks
from waybill_status.app import StatusService
from waybill_status.settings import StatusSettings
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import email_event, new_task, reported, sync_event
from waybill_testkit.wire import Wire

KEYRING = Keyring.of(os.environ["WAYBILL_SEALING_KEYS"])


@pytest.fixture
async def records(ledger_url: str) -> AsyncIterator[Records]:
    records = Records(ledger_url)
    yield records
    await records.close()


@asynccontextmanager
async def running(url: str, ledger_url: str, number: int = 1) -> AsyncIterator[None]:
    """So many status services."""
    async with AsyncExitStack() as stack:
        for _ in range(number):
            settings = StatusSettings(amqp_url=url, ledger_url=ledger_url, ops_address="ops@example.test")
            service = StatusService(settings)
            stack.push_async_callback(service.stop)
            await service.start()
        yield


async def accepted(records: Records) -> NewTask:
    task = new_task(sync_event(), KEYRING)
    await records.write(accept, Submission(task))
    return task


async def found(records: Records, task_id: str) -> Task | None:
    return await records.read(partial(get_task, task_id=task_id))


async def children(records: Records, parent: NewTask) -> list[Task]:
    wanted = TaskFilter(parent=parent.id)
    return (await records.read(partial(list_tasks, wanted=wanted, limit=100, cursor=None))).tasks


def done(parent: NewTask, *kinds: str) -> LifecycleEvent:
    """The outcome of the parent, with a mail for each of these kinds."""
    tasks = []
    for number, kind in enumerate(kinds):
        id_ = spawned_task_id(parent.id, f"{parent.id}.sync", number)
        payload = KEYRING.sealed_payload(email_event(f"a{number}@example.test"), id_).decode()
        tasks.append(SpawnedTask(id=id_, kind=kind, dataschema=f"urn:waybill:{kind}:v1", payload=payload))
    event = reported(LifecycleType.COMPLETED, parent.id, service="sync", kind=parent.kind)
    return event.model_copy(update={"data": event.data.model_copy(update={"spawned": tuple(tasks)})})


async def report(wire: Wire, *events: LifecycleEvent, copies: int = 1) -> None:
    body = LIFECYCLE_BATCH.dump_json(list(events), exclude_none=True)
    await wire.put("events", events[0].type, body, {}, copies=copies)


async def test_tasks_in_a_report_are_accepted_once_and_reach_their_service(
    topology_url: str, ledger_url: str, wire: Wire, records: Records
) -> None:
    parents = await asyncio.gather(*(accepted(records) for _ in range(10)))
    async with running(topology_url, ledger_url, 2):
        for parent in parents:
            await report(wire, done(parent, "email.requested", "email.requested"), copies=3)
        expected = {spawned_task_id(p.id, f"{p.id}.sync", n) for p in parents for n in range(2)}
        came: set[str] = set()
        while came != expected:
            message = await wire.take("email.work")
            came.add(str(message.headers["x-task-id"]))
            assert b"example.test" not in message.body

    assert [len(await children(records, parent)) for parent in parents] == [2] * 10


async def test_a_task_that_no_service_can_do_is_told_to_the_operators_and_holds_up_nothing(
    topology_url: str, ledger_url: str, wire: Wire, records: Records
) -> None:
    parent, other = await accepted(records), await accepted(records)
    bad = spawned_task_id(parent.id, f"{parent.id}.sync", 0)
    async with running(topology_url, ledger_url):
        await report(wire, done(parent, "nobody.knows"), done(other, "email.requested"))
        ids = {str((await wire.take("email.work")).headers["x-task-id"]) for _ in range(2)}
    failed = await found(records, bad)

    assert failed is not None
    assert (failed.state, failed.parent_id) == (State.FAILED, parent.id)
    [child] = await children(records, other)
    [alert] = ids - {child.id}
    about = await found(records, alert)
    assert about is not None
    assert about.about == "operators"


async def test_progress_is_shown_while_the_attempt_runs(
    topology_url: str, ledger_url: str, wire: Wire, records: Records
) -> None:
    parent = await accepted(records)
    tell = partial(reported, task_id=parent.id, service="sync", kind=parent.kind)

    async def shows(text: str | None) -> bool:
        task = await found(records, parent.id)
        assert task is not None
        shown = task.progress.get("sync")
        return (None if shown is None else shown.text) == text

    async with running(topology_url, ledger_url):
        await report(wire, tell(LifecycleType.STARTED))
        await report(wire, tell(LifecycleType.PROGRESS, seconds_after=1, text="page 1"))
        await eventually(lambda: shows("page 1"))
        await report(wire, tell(LifecycleType.PROGRESS, seconds_after=3, text="page 3"))
        await report(wire, tell(LifecycleType.PROGRESS, seconds_after=2, text="page 2"))
        await eventually(lambda: shows("page 3"))
        await report(wire, tell(LifecycleType.COMPLETED, seconds_after=4))
        await eventually(lambda: shows(None))
