"""Long attempts: acknowledged early, kept in the inbox, and gone on with where a process stopped."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from faststream.rabbit import RabbitBroker
from sqlalchemy import Connection, update
from sqlalchemy.exc import DataError

from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.privacy.seal import NO_KEYS
from waybill_contracts.wire.lifecycle import LIFECYCLE_BATCH, LifecycleEvent
from waybill_database import Records
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import envelope_of, sync_event
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.handlers import by_kind, handler
from waybill_worker.attempt.metrics import AttemptMetrics
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.attempt.runner import Attempts
from waybill_worker.broker.delivery import Delivery
from waybill_worker.consume.decode import Decoder
from waybill_worker.consume.pipeline import Pipeline
from waybill_worker.consume.turns import Turns
from waybill_worker.errors import TransientError
from waybill_worker.inbox.inbox import Inbox
from waybill_worker.inbox.kept_messages import KeptKey, KeptMessage
from waybill_worker.inbox.table import INBOX
from waybill_worker.limits.running_handlers import RunningHandlers
from waybill_worker.limits.time_limits import HELD_SECONDS, TimeLimits
from waybill_worker.limits.watchdog import Watchdog
from waybill_worker.observe.metrics import make_registry
from waybill_worker.publish.publisher import OutgoingMessage, Publisher, PublishError
from waybill_worker.publish.reporter import Reporter

POLICY = RetryPolicy(max_attempts=3, base_seconds=1, cap_seconds=1, jitter=0)
LONG = TimeLimits(HELD_SECONDS, HELD_SECONDS + 60)
ENVELOPE = envelope_of(sync_event())
BODY = sync_event().model_dump_json().encode()
KEY = KeptKey.of(ENVELOPE)
Function = Callable[[], Awaitable[dict[str, Any]]]


class ListPublisher(Publisher):
    """Keeps what is published; refuses outcomes while the broker is `away`."""

    def __init__(self) -> None:
        super().__init__(RabbitBroker(logger=None), timeout_seconds=1)
        self.published: list[OutgoingMessage] = []
        self.away = False
        self.refused = 0

    async def publish(self, message: OutgoingMessage) -> None:
        if self.away:
            self.refused += 1
            raise PublishError("the broker is away")
        self.published.append(message)

    def events(self) -> list[LifecycleEvent]:
        return [
            event
            for message in self.published
            if message.exchange == "events"
            for event in LIFECYCLE_BATCH.validate_json(message.body)
        ]

    def told(self) -> list[str]:
        return [event.type.value for event in self.events()]


class Acknowledger:
    def __init__(self) -> None:
        self.acks = 0
        self.is_lost = False

    async def ack(self) -> None:
        self.acks += 1


class Replica:
    """One process of the service, as far as its pipeline."""

    def __init__(self, url: str, lease: float) -> None:
        self.records = Records(url)
        self.inbox = Inbox(self.records, "sync", lease_seconds=lease)
        self.inbox.make_table()
        self.publisher = ListPublisher()
        self.acknowledger = Acknowledger()
        self.runs = 0
        self.function: Function = self._at_once
        reporter = Reporter(self.publisher)
        handlers = by_kind((handler(SyncRequested, self._handle, POLICY, LONG),))
        self.pipeline = Pipeline(
            "sync",
            inbox=self.inbox,
            publisher=self.publisher,
            reporter=reporter,
            attempts=Attempts("sync", self.inbox, reporter, Watchdog(), RunningHandlers()),
            metrics=AttemptMetrics("sync", make_registry(), handlers),
            decoder=Decoder(handlers, NO_KEYS, POLICY),
            turns=Turns(handlers, 4),
        )

    async def consume(self) -> None:
        await self.pipeline.consume(Delivery(BODY, ENVELOPE.to_headers(), "order-7", 3, self.acknowledger))

    async def die(self) -> None:
        """Renews its leases no more, and has them end now."""
        await self.inbox.stop()

        def end(connection: Connection, _: object) -> list[None]:
            connection.execute(update(INBOX).values(lease_until=datetime(2026, 1, 1, tzinfo=UTC)))
            return [None]

        await self.records.write(end, None)

    async def resume(self) -> None:
        """Goes on with what is left over, until it is done."""
        [delivery] = await self.left_over(1)
        self.pipeline.resume(delivery)
        await self.pipeline.drain(60)

    async def left_over(self, number: int) -> list[Delivery]:
        async def found() -> list[Delivery] | None:
            deliveries = await self.pipeline.long.left_over()
            return deliveries if len(deliveries) == number else None

        deliveries: list[Delivery] = await eventually(found)
        return deliveries

    async def kept(self) -> int:
        def count(connection: Any) -> int:
            number: int = connection.exec_driver_sql("SELECT count(*) FROM kept_messages").scalar_one()
            return number

        return await self.records.read(count)

    async def _at_once(self) -> dict[str, Any]:
        return {"by": "at once"}

    async def _handle(self, _event: SyncRequested, _attempt: Attempt) -> dict[str, Any]:
        self.runs += 1
        return await self.function()


OpenReplica = Callable[..., Awaitable[Replica]]


@pytest.fixture
async def replica_of(database_url: str) -> AsyncIterator[OpenReplica]:
    opened: list[Replica] = []

    async def open_replica(lease: float = 300.0) -> Replica:
        replica = Replica(database_url, lease)
        opened.append(replica)
        await replica.inbox.start()
        return replica

    yield open_replica
    for replica in opened:
        await replica.inbox.stop()
        await replica.records.close()


async def test_its_message_is_acknowledged_before_it_runs_and_kept_until_it_is_reported(
    replica_of: OpenReplica,
) -> None:
    one = await replica_of()
    seen: list[int] = []

    async def look() -> dict[str, Any]:
        seen.extend((one.acknowledger.acks, await one.kept()))
        return {}

    one.function = look
    await one.consume()

    assert seen == [1, 1]
    assert (one.acknowledger.acks, await one.kept()) == (1, 0)
    assert one.publisher.told() == ["task.started", "task.completed"]


async def test_after_the_death_of_its_process_another_replica_goes_on_and_only_that_one_reports(
    replica_of: OpenReplica,
) -> None:
    dead, other = await replica_of(), await replica_of()
    go_on = asyncio.Event()

    async def wait() -> dict[str, Any]:
        await go_on.wait()
        return {"by": "the dead"}

    dead.function = wait
    running = asyncio.create_task(dead.consume())
    await eventually(lambda: dead.runs)
    assert await other.pipeline.long.left_over() == []
    await dead.die()
    await other.resume()
    # Even if it was only slow, it neither reports nor deletes what belongs to the other.
    go_on.set()
    await running

    assert other.publisher.told() == ["task.started", "task.completed"]
    assert set(dead.publisher.told()) <= {"task.started"}
    assert (dead.runs, other.runs, await other.kept()) == (1, 1, 0)


async def test_an_outcome_that_was_recorded_and_not_reported_is_reported_by_the_next(
    replica_of: OpenReplica,
) -> None:
    dead, other = await replica_of(0.3), await replica_of(0.3)

    async def lose_the_broker() -> dict[str, Any]:
        dead.publisher.away = True
        return {"written": True}

    dead.function = lose_the_broker
    running = asyncio.create_task(dead.consume())
    await eventually(lambda: dead.publisher.refused)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await other.resume()

    assert (dead.runs, other.runs, await other.kept()) == (1, 0, 0)
    [completed] = other.publisher.events()
    assert completed.data.result == {"written": True}


async def test_while_the_broker_is_away_it_goes_on_and_reports_when_the_broker_is_back(
    replica_of: OpenReplica,
) -> None:
    one = await replica_of()

    async def lose_the_broker() -> dict[str, Any]:
        one.publisher.away = one.acknowledger.is_lost = True
        return {}

    one.function = lose_the_broker
    running = asyncio.create_task(one.consume())
    await eventually(lambda: one.publisher.refused)
    assert await one.kept() == 1
    one.publisher.away = False
    await running

    assert one.publisher.told() == ["task.started", "task.completed"]
    assert (one.runs, await one.kept()) == (1, 0)


async def test_its_next_attempt_is_an_ordinary_message_with_all_that_it_had(replica_of: OpenReplica) -> None:
    dead, other = await replica_of(), await replica_of()

    async def hang() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def fail() -> dict[str, Any]:
        raise TransientError("busy")

    dead.function, other.function = hang, fail
    running = asyncio.create_task(dead.consume())
    await eventually(lambda: dead.runs)
    await dead.die()
    await other.resume()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    [following] = [message for message in other.publisher.published if message.exchange != "events"]
    assert (following.body, following.correlation_id, following.priority) == (BODY, "order-7", 3)
    assert following.headers["x-attempt"] == 2
    assert await other.kept() == 0


async def test_what_cannot_be_recorded_is_a_dead_letter_and_not_tried_for_ever(
    replica_of: OpenReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await replica_of()

    async def refuse(*_arguments: object) -> None:
        raise DataError("UPDATE", {}, ValueError("the value is out of range"))

    monkeypatch.setattr(one.inbox, "record", refuse)
    await one.consume()

    [letter] = [message for message in one.publisher.published if message.exchange != "events"]
    assert (letter.exchange, letter.headers["x-dead-reason"]) == ("dlx", "rejected")
    assert (one.acknowledger.acks, await one.kept()) == (1, 0)


async def test_when_the_service_stops_the_next_replica_need_not_wait_for_the_lease(
    replica_of: OpenReplica,
) -> None:
    stopping, other = await replica_of(300), await replica_of(300)

    async def hang() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    stopping.function = hang
    running = asyncio.create_task(stopping.consume())
    await eventually(lambda: stopping.runs)
    assert await stopping.pipeline.drain(0.01) == 1
    await asyncio.gather(running, return_exceptions=True)
    await other.resume()

    assert (other.runs, await other.kept()) == (1, 0)


async def test_of_two_replicas_that_find_it_one_runs_it(replica_of: OpenReplica) -> None:
    dead, one, other = await replica_of(), await replica_of(), await replica_of()

    async def hang() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    dead.function = hang
    running = asyncio.create_task(dead.consume())
    await eventually(lambda: dead.runs)
    await dead.die()
    [first], [second] = await one.left_over(1), await other.left_over(1)
    one.pipeline.resume(first)
    other.pipeline.resume(second)
    await asyncio.gather(one.pipeline.drain(60), other.pipeline.drain(60))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert sorted((one.runs, other.runs)) == [0, 1]
    # No copy goes to the broker: the inbox has the message until it is done.
    sent = [*one.publisher.published, *other.publisher.published]
    assert all(message.exchange == "events" for message in sent)
    assert await one.kept() == 0


async def test_its_start_is_reported_again_for_as_long_as_it_runs(replica_of: OpenReplica) -> None:
    one = await replica_of(0.2)
    go_on = asyncio.Event()

    async def wait() -> dict[str, Any]:
        await go_on.wait()
        return {}

    one.function = wait
    running = asyncio.create_task(one.consume())
    await eventually(lambda: len(one.publisher.told()) >= 3)
    go_on.set()
    await running

    *starts, completed = one.publisher.events()
    assert completed.type == "task.completed"
    assert {event.id for event in starts} == {starts[0].id}
    assert sorted({event.time for event in starts}) == [event.time for event in starts]


async def test_a_message_is_deleted_only_by_its_own_attempt(replica_of: OpenReplica) -> None:
    one = await replica_of()
    message = KeptMessage(BODY, ENVELOPE.to_headers() | {"x-death": [{"count": 1}]}, None, None)
    await one.inbox.kept.keep(KEY, message)
    later = KeptKey.of(ENVELOPE.next_attempt(3))
    await one.inbox.kept.keep(later, message)
    await one.inbox.kept.delete(KEY)

    [(key, kept)] = await one.inbox.kept.left_over(10)
    assert key == later
    # What the broker added is not kept; it has no claim, and so it is left over.
    assert kept.headers == ENVELOPE.to_headers()
    await one.inbox.kept.delete(later)
    assert await one.kept() == 0
