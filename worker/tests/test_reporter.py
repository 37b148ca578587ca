"""What is reported, in how many messages, and how soon."""

import asyncio
from datetime import UTC, datetime

import pytest

from waybill_contracts.wire import (
    LIFECYCLE_BATCH,
    LifecycleData,
    LifecycleEvent,
    LifecycleType,
    lifecycle_event,
)
from waybill_testkit.eventually import eventually
from waybill_worker.publish import reporter as reporter_module
from waybill_worker.publish.publisher import OutgoingMessage, UnconfirmedError
from waybill_worker.publish.reporter import Reporter

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Broker:
    """In the place of the publisher: notes the types of the events of each message."""

    def __init__(self) -> None:
        self.messages: list[list[str]] = []
        self.refuses = 0
        self.is_asked = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def publish(self, message: OutgoingMessage) -> None:
        self.is_asked = True
        await self.gate.wait()
        if self.refuses:
            self.refuses -= 1
            raise UnconfirmedError("refused")
        self.messages.append([event.type.value for event in LIFECYCLE_BATCH.validate_json(message.body)])


def event(type_: LifecycleType) -> LifecycleEvent:
    data = LifecycleData(
        task_id="t", service="sync", kind="sync.requested", attempt=1, max_attempts=1, redrive_no=0
    )
    return lifecycle_event(type_, NOON, data)


STARTED, COMPLETED = event(LifecycleType.STARTED), event(LifecycleType.COMPLETED)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def reporter(broker: Broker) -> Reporter:
    return Reporter(broker)  # type: ignore[arg-type] # as much of it as is needed


async def test_the_start_of_a_short_attempt_is_one_message_with_its_outcome(
    broker: Broker, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter_module, "EMIT_SECONDS", 60)
    reporter.emit(STARTED)
    await asyncio.sleep(0)
    await reporter.emit_and_wait(COMPLETED)

    assert broker.messages == [[STARTED.type.value, COMPLETED.type.value]]


async def test_the_start_of_a_long_one_is_reported_while_it_runs(broker: Broker, reporter: Reporter) -> None:
    reporter.emit(STARTED)

    await eventually(lambda: broker.messages == [[STARTED.type.value]])


async def test_a_start_that_comes_while_an_outcome_is_published_is_not_forgotten(
    broker: Broker, reporter: Reporter
) -> None:
    broker.gate.clear()
    outcome = reporter.queue(COMPLETED)
    await eventually(lambda: broker.is_asked)
    reporter.emit(STARTED)
    broker.gate.set()
    await outcome

    await eventually(lambda: broker.messages == [[COMPLETED.type.value], [STARTED.type.value]])


async def test_what_the_broker_does_not_take_is_published_again_in_its_order(
    broker: Broker, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter_module, "REPUBLISH_SECONDS", 0.001)
    broker.refuses = 2
    reporter.emit(STARTED)
    await reporter.emit_and_wait(COMPLETED)

    assert broker.messages == [[STARTED.type.value, COMPLETED.type.value]]
