"""The failure desk on the real broker, with the status service and a service whose handler the test is."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from waybill_contracts.events import Event
from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.kinds.users import UserCreated
from waybill_contracts.privacy import NO_KEYS
from waybill_contracts.states import State
from waybill_contracts.versions.upcasters import UPCASTERS
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_database import Records
from waybill_deadletters import app
from waybill_deadletters.app import Desk
from waybill_deadletters.settings import DeskSettings
from waybill_ledger import NewTask, Submission, accept, apply_events, delete_published, get_task
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import letter_of
from waybill_ledger.deadletters.letters import ContractGate
from waybill_ledger.deadletters.letters.queries import LetterFilter, list_letters
from waybill_ledger.deadletters.redrives.control import Start, start
from waybill_ledger.deadletters.redrives.plan import NewRedrive, make_redrive
from waybill_ledger.deadletters.redrives.queries import Redrive, get_redrive
from waybill_ledger.deadletters.states import LetterState, RedriveState, Verdict
from waybill_ledger.registry import ApplyManifest, apply_manifests, load_registry
from waybill_status.app import StatusService
from waybill_status.settings import StatusSettings
from waybill_testkit.broker import Broker
from waybill_testkit.empty_ledger import put_empty_ledger
from waybill_testkit.eventually import eventually
from waybill_testkit.machine import ForkedProcess
from waybill_testkit.samples import (
    NOON,
    dead_message,
    email_event,
    envelope_of,
    event_in,
    gate_of,
    new_task,
    next_release,
    reported,
    sync_event,
)
from waybill_testkit.wire import Wire
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.errors import PermanentError
from waybill_worker.service import Service

#: Letters of the redrive during which the desk is killed, and how often.
LETTERS, KILLS = int(os.environ.get("WAYBILL_TEST_LETTERS", "300")), 10


class Crm:
    """The handler: counts each effect by its key, and refuses while it is broken."""

    def __init__(self) -> None:
        self.is_broken = True
        self.runs: Counter[tuple[str, int]] = Counter()
        self.effects: Counter[str] = Counter()
        self.names: list[str] = []

    async def __call__(self, event: Event, attempt: Attempt) -> dict[str, Any]:
        self.runs[attempt.task_id, attempt.redrive_no] += 1
        if self.is_broken:
            raise PermanentError("crm answered 422")
        self.effects[attempt.effect_key] += 1
        if isinstance(event, SyncRequested):
            self.names.append(str(event.data.get("name")))
        return {}


class Stack:
    """Ledger, status service and sync service; the desk is the test's."""

    def __init__(self, amqp_url: str, folder: Path) -> None:
        self.amqp_url = amqp_url
        self.ledger_url = put_empty_ledger(folder / "ledger.db")
        self.records = Records(self.ledger_url)
        self.crm = Crm()

    def desk(self) -> Desk:
        return Desk(DeskSettings(amqp_url=self.amqp_url, ledger_url=self.ledger_url, grace_seconds=2))

    async def accepted(self, event: Event | None = None) -> NewTask:
        task = new_task(event or sync_event(), created_at=datetime.now(UTC))
        await self.records.write(accept, Submission(task))
        return task

    async def known(self, event: Event | None = None) -> NewTask:
        """A task that the ledger knows, and that nobody publishes."""
        task = new_task(event or sync_event(), created_at=datetime.now(UTC))
        accepted = await self.records.write(accept, Submission(task))
        await self.records.write(delete_published, [accepted.message.outbox_id])  # type: ignore[union-attr]
        return task

    async def letters(self, **wanted: Any) -> list[dict[str, Any]]:
        query = partial(list_letters, wanted=LetterFilter(**wanted), limit=500, cursor=None)
        return (await self.records.read(query)).letters

    async def has_letters(self, count: int) -> bool:
        return len(await self.letters()) == count

    async def is_in(self, task: NewTask, state: State) -> bool:
        found = await self.records.read(partial(get_task, task_id=task.id))
        return found is not None and found.state is state

    async def started(self, *, rate: float = 1000, canary: int = 1) -> int:
        now = datetime.now(UTC)
        wanted = LetterFilter(service="sync")
        gate = ContractGate(await self.records.read(load_registry), NO_KEYS)
        new = NewRedrive(wanted, [], rate, canary, None, "ann", now, {}, gate)
        redrive_id = await make_redrive(self.records, new)
        hash_ = (await self.redrive(redrive_id)).hash
        assert await self.records.write(start, Start(redrive_id, hash_, "ann", now)) is None
        return redrive_id

    async def redrive(self, redrive_id: int) -> Redrive:
        found = await self.records.read(partial(get_redrive, redrive_id=redrive_id))
        assert found is not None
        return found

    async def redrive_is(self, redrive_id: int, state: RedriveState) -> bool:
        return (await self.redrive(redrive_id)).state is state


@asynccontextmanager
async def running(process: Any) -> AsyncIterator[Any]:
    await process.start()
    try:
        yield process
    finally:
        await process.stop()


@pytest.fixture
async def stack(topology_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    stack = Stack(topology_url, tmp_path)
    settings = ServiceSettings(
        amqp_url=topology_url, inbox_url=f"sqlite:///{tmp_path}/inbox.db", prefetch=100
    )
    handlers = tuple(configured(settings, kind, stack.crm.__call__) for kind in (SyncRequested, UserCreated))
    status = StatusService(StatusSettings(amqp_url=topology_url, ledger_url=stack.ledger_url))
    async with AsyncExitStack() as exits:
        await exits.enter_async_context(running(status))
        await exits.enter_async_context(running(Service("sync", settings, handlers)))
        yield stack
    await stack.records.close()


async def test_what_fails_for_good_comes_in_is_redriven_and_completes(
    stack: Stack, broker: Broker, vhost: str
) -> None:
    tasks = [await stack.accepted() for _ in range(5)]
    async with running(stack.desk()):
        await eventually(lambda: stack.has_letters(5))
        letter = (await stack.letters())[0]
        assert (letter["reason"], letter["frame"]) == ("permanent", "test_desk_on_broker:__call__")
        assert letter["error_message"] == "crm answered 422"
        stack.crm.is_broken = False
        redrive_id = await stack.started(canary=2)
        await eventually(lambda: stack.redrive_is(redrive_id, RedriveState.COMPLETED))

    for task in tasks:
        assert await stack.is_in(task, State.COMPLETED)
    assert {letter["state"] for letter in await stack.letters()} == {LetterState.RECOVERED}
    assert set(stack.crm.runs.values()) == {1}
    await eventually(lambda: _held(broker, vhost) == 0)


async def test_while_it_is_still_broken_a_redrive_halts_behind_its_canary(stack: Stack) -> None:
    for _ in range(20):
        await stack.accepted()
    async with running(stack.desk()):
        await eventually(lambda: stack.has_letters(20))
        redrive_id = await stack.started(canary=3)
        await eventually(lambda: stack.redrive_is(redrive_id, RedriveState.HALTED))

    halted = await stack.redrive(redrive_id)
    assert (halted.progress.waiting, halted.progress.sent + halted.progress.failed) == (17, 3)
    assert sum(redrive_no for _, redrive_no in stack.crm.runs) == 3


async def test_a_letter_of_an_older_version_is_brought_up_and_completes(
    stack: Stack, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of the next release: it is registered, and runs.
    request = ApplyManifest(next_release("sync", SyncRequested.KIND), NOON, "ann")
    await stack.records.write(apply_manifests, request)
    monkeypatch.setattr(SyncRequested, "VERSION", 2)
    monkeypatch.setitem(UPCASTERS, (SyncRequested.KIND, 1), dict)
    stack.crm.is_broken = False
    old = b'{"target": "crm", "resource": "contacts", "id": "7", "data": {"name": "Ada"}}'
    wait_failed = b'{"target": "crm", "resource": "contacts", "data": {}}'
    tasks = [await stack.known() for _ in range(2)]
    for task, body in zip(tasks, (old, wait_failed), strict=True):
        message = dead_message(sync_event(), task.id, dataschema="urn:waybill:sync.requested:v1")
        await wire.put("dlx", "sync.dlq", body, message.headers)
    await stack.records.write(_die, tasks)
    async with running(stack.desk()):
        await eventually(lambda: stack.has_letters(2))
        verdicts = {letter["task_id"]: letter["verdict"] for letter in await stack.letters()}
        assert verdicts == {tasks[0].id: Verdict.UPCASTABLE, tasks[1].id: Verdict.UNFIXABLE}
        redrive_id = await stack.started(canary=0)
        assert [u["errors"] for u in (await stack.redrive(redrive_id)).dry_run["unfixable"]] == [
            [{"field": "id", "message": "is required"}]
        ]
        await eventually(lambda: stack.redrive_is(redrive_id, RedriveState.COMPLETED))

    assert await stack.is_in(tasks[0], State.COMPLETED)
    assert await stack.is_in(tasks[1], State.FAILED)
    assert stack.crm.names.count("Ada") == 1


async def test_while_the_ledger_is_away_nothing_is_acknowledged_and_nothing_lost(
    stack: Stack, wire: Wire, broker: Broker, vhost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> bool:
        raise OperationalError("the ledger is away", None, Exception())

    messages = [dead_message(sync_event(), new_task().id) for _ in range(20)]
    with monkeypatch.context() as patch:
        patch.setattr(app, "keep", away)
        async with running(stack.desk()):
            for message in messages:
                await wire.put("dlx", "sync.dlq", message.body, message.headers)
            await eventually(lambda: broker.management.queue("sync.dlq", vhost).unacked == 20)
    assert await stack.letters() == []
    async with running(stack.desk()):
        await eventually(lambda: stack.has_letters(20))
        await eventually(lambda: _held(broker, vhost) == 0)


async def test_what_the_broker_gives_up_by_itself_ends_failed_in_the_ledger(stack: Stack, wire: Wire) -> None:
    # Of a service that does not run here: the test is the consumer that refuses it.
    event = email_event()
    task = await stack.known(event)
    await wire.put("tasks", event.KIND, b"{}", envelope_of(event, task.id).to_headers())
    queue = await wire.channel.get_queue("email.work", ensure=False)
    message = await eventually(lambda: queue.get(fail=False))
    await message.reject(requeue=False)
    async with running(stack.desk()):
        await eventually(lambda: stack.is_in(task, State.FAILED))
    [letter] = await stack.letters()
    assert (letter["reason"], letter["service"], letter["effect"]) == ("rejected", "email", "not_done")


async def test_killed_at_any_moment_it_redrives_each_letter_once(stack: Stack) -> None:
    stack.crm.is_broken = False
    tasks = await asyncio.gather(*(stack.known(sync_event(str(n))) for n in range(LETTERS)))
    await stack.records.write(_die, tasks)
    await asyncio.gather(
        *(
            stack.records.write(take_in, letter_of(dead_message(event_in(t), t.id), gate=gate_of()))
            for t in tasks
        )
    )
    redrive_id = await stack.started(rate=LETTERS / 15, canary=5)
    killed = 0
    while not await stack.redrive_is(redrive_id, RedriveState.COMPLETED):
        desk = _process(stack)
        try:
            if killed < KILLS:
                # It needs about a second to begin; whatever it is doing then is interrupted.
                await asyncio.sleep(random.uniform(1.0, 4.0))
            else:
                await eventually(lambda: stack.redrive_is(redrive_id, RedriveState.COMPLETED), seconds=120)
        finally:
            desk.send_signal(signal.SIGKILL)
            desk.wait()
            killed += 1

    progress = (await stack.redrive(redrive_id)).progress
    assert (progress.succeeded, progress.left, progress.skipped) == (LETTERS, LETTERS, 0)
    assert set(stack.crm.runs) == {(task.id, 1) for task in tasks}
    assert Counter(stack.crm.effects.values()) == {1: LETTERS}


def _held(broker: Broker, vhost: str) -> int:
    """How many letters the broker still holds."""
    queue = broker.management.queue("sync.dlq", vhost)
    return queue.ready + queue.unacked


def _process(stack: Stack) -> ForkedProcess:
    environment = os.environ | {
        "WAYBILL_AMQP_URL": stack.amqp_url,
        "WAYBILL_LEDGER_URL": stack.ledger_url,
        "WAYBILL_LOG_LEVEL": "error",
    }
    return ForkedProcess("waybill_deadletters", env=environment)


def _die(connection: Any, batches: Any) -> list[None]:
    deaths = [
        reported(LifecycleType.DEAD, task.id, service="sync", kind=task.kind, attempt=4)
        for tasks in batches
        for task in tasks
    ]
    apply_events(connection, deaths)
    return [None] * len(batches)
