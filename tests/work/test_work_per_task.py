"""What a task costs in work, not in time: a regression is seen on the busiest machine.

Real ledger, real inbox, no broker: published messages are handed to their consumers. A hundred tasks
at once must share their transactions; if a number here rises, every task has become dearer.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from faststream.rabbit import RabbitBroker
from sqlalchemy import select

from tests.work.counting import Counter, Work
from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.privacy.seal import Keyring
from waybill_contracts.states import State
from waybill_contracts.wire.names import EXCHANGE_EVENTS
from waybill_database import Records
from waybill_gateway.app import create_app
from waybill_gateway.runtime import task_relay
from waybill_gateway.runtime.resources import Resources
from waybill_gateway.runtime.task_relay import TaskRelay
from waybill_gateway.settings import GatewaySettings
from waybill_ledger.schema.tables import TASKS
from waybill_status.app import make_service
from waybill_status.settings import StatusSettings
from waybill_testkit.empty_ledger import put_empty_ledger
from waybill_testkit.eventually import eventually
from waybill_worker.attempt.handlers import by_kind, handler
from waybill_worker.attempt.metrics import AttemptMetrics
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.attempt.runner import Attempts
from waybill_worker.consume.decode import Decoder
from waybill_worker.consume.pipeline import Pipeline
from waybill_worker.consume.turns import Turns
from waybill_worker.inbox.inbox import Inbox
from waybill_worker.limits.running_handlers import RunningHandlers
from waybill_worker.limits.watchdog import Watchdog
from waybill_worker.observe.metrics import make_registry
from waybill_worker.publish import reporter as reporter_module
from waybill_worker.publish.publisher import OutgoingMessage, Publisher
from waybill_worker.publish.reporter import Reporter

#: No server listens there.
NO_BROKER = "amqp://guest:guest@127.0.0.1:1/"
POLICY = RetryPolicy(max_attempts=3, base_seconds=1, cap_seconds=1, jitter=0)
BATCHES = pytest.mark.parametrize("tasks", [1, 100])


@pytest.fixture
def ledger_file(tmp_path: Path) -> str:
    return put_empty_ledger(tmp_path / "ledger.db")


@asynccontextmanager
async def gateway(ledger_url: str, folder: Path) -> AsyncIterator[tuple[Resources, httpx.AsyncClient]]:
    app = create_app(
        GatewaySettings(
            ledger_url=ledger_url,
            object_store_url=f"file://{folder}/objects",
            amqp_url=NO_BROKER,
            sync_targets=("crm",),
        )
    )
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client,
    ):
        yield app.state.resources, client


async def accepted(
    tasks: int, ledger_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Work, list[OutgoingMessage]]:
    """Posts that many tasks at once, and waits until all are published."""
    async with gateway(ledger_url, folder) as (resources, client):
        # Twice a second, whatever is posted.
        await resources.kinds_refresh.stop()
        counter = Counter(resources.records.engine)
        monkeypatch.setattr(TaskRelay, "is_connected", True)
        # No sweep runs here that would do it for a gateway which the machine kept waiting.
        monkeypatch.setattr(task_relay, "RELAY_GRACE", timedelta(hours=1))
        monkeypatch.setattr(resources.relay._publisher, "publish_each", counter.publish_each)  # noqa: SLF001 - in its place

        async def post(number: int) -> None:
            body = {"target": "crm", "resource": "contacts", "id": str(number), "data": {"name": "Ann"}}
            answer = await client.post("/v1/syncs", json=body)
            assert answer.status_code == 202

        await asyncio.gather(*map(post, range(tasks)))
        relay = resources.relay
        await eventually(lambda: len(counter.published) == tasks)
        await relay._published.settle()  # noqa: SLF001 - nobody waits for it otherwise
        return counter.done(), counter.published


async def run(messages: list[OutgoingMessage], folder: Path) -> tuple[Work, list[OutgoingMessage]]:
    """Runs the messages' attempts in a service, all at once."""
    records = Records(f"sqlite:///{folder}/inbox.db")
    publisher = Publisher(RabbitBroker(logger=None), timeout_seconds=1)
    inbox = Inbox(records, "sync", lease_seconds=300)
    inbox.make_table()
    await inbox.start()
    counter = Counter(records.engine)
    publisher.publish = counter.publish  # type: ignore[method-assign] # in the broker's place

    async def synced(event: SyncRequested, attempt: Any) -> dict[str, Any]:
        return {"record": event.id, "key": attempt.effect_key}

    reporter = Reporter(publisher)
    handlers = by_kind((handler(SyncRequested, synced, POLICY),))
    pipeline = Pipeline(
        "sync",
        inbox=inbox,
        publisher=publisher,
        reporter=reporter,
        attempts=Attempts("sync", inbox, reporter, Watchdog(), RunningHandlers()),
        metrics=AttemptMetrics("sync", make_registry(), ()),
        decoder=Decoder(handlers, Keyring.of(os.environ["WAYBILL_SEALING_KEYS"]), POLICY),
        turns=Turns(handlers, 1),
    )
    await asyncio.gather(*(pipeline.consume(counter.delivery(message)) for message in messages))
    await inbox.stop()
    await records.close()
    return counter.done(), counter.published


async def applied(messages: list[OutgoingMessage], ledger_url: str) -> Work:
    """Has the status service apply the lifecycle events."""
    service = make_service(StatusSettings(ledger_url=ledger_url, amqp_url=NO_BROKER))
    counter = Counter(service._records.engine)  # noqa: SLF001 - it is asked for nowhere else
    await asyncio.gather(*(service.consume(counter.delivery(message)) for message in messages))
    await service._records.close()  # noqa: SLF001 - it was never started
    return counter.done()


@BATCHES
async def test_accepting_costs_two_commits_however_many_come_at_once(
    tasks: int, ledger_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, _ = await accepted(tasks, ledger_file, tmp_path, monkeypatch)

    # Task, subtasks, count, outbox row; then, once it is confirmed, the outbox row again.
    assert work == Work(statements=5, commits=2, flushes=1, publishes=tasks, writes=1)


@BATCHES
async def test_attempts_cost_two_commits_and_one_message_however_many_run_at_once(
    tasks: int, ledger_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, messages = await accepted(tasks, ledger_file, tmp_path, monkeypatch)
    # On a busy machine a hundred attempts are not short.
    monkeypatch.setattr(reporter_module, "EMIT_SECONDS", 60)

    work, _ = await run(messages, tmp_path)

    # Claims, which tell of cancellations; then outcomes, if the claims still hold. One message reports both.
    assert work == Work(statements=2, commits=2, flushes=1, publishes=1, writes=1, acks=tasks)


@BATCHES
async def test_applying_what_happened_costs_one_commit_however_many_it_concerns(
    tasks: int, ledger_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, messages = await accepted(tasks, ledger_file, tmp_path, monkeypatch)
    _, events = await run(messages, tmp_path)
    assert {message.exchange for message in events} == {EXCHANGE_EVENTS}

    work = await applied(events, ledger_file)

    # Tasks read with their subtasks; timeline, subtasks, tasks and counts written.
    assert work == Work(statements=5, commits=1, flushes=1, acks=len(events))
    async with gateway(ledger_file, tmp_path) as (resources, _):
        states = await resources.records.read(
            lambda connection: connection.scalars(select(TASKS.c.state)).all()
        )
        assert states == [State.COMPLETED] * tasks
