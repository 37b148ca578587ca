"""What the pipeline does when a part under it fails; a list stands in for the broker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faststream.rabbit import RabbitBroker
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.privacy.seal import NO_KEYS
from waybill_contracts.wire.envelope import Envelope
from waybill_contracts.wire.lifecycle import LIFECYCLE_BATCH, ErrorInfo
from waybill_database import Records
from waybill_testkit.samples import NOON, envelope_of, sync_event
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.handlers import AsyncFunction, by_kind, handler
from waybill_worker.attempt.metrics import AttemptMetrics
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.attempt.runner import Attempts
from waybill_worker.broker.delivery import Delivery
from waybill_worker.consume.decode import Decoder
from waybill_worker.consume.pipeline import Pipeline
from waybill_worker.consume.turns import Turns
from waybill_worker.errors import TransientError
from waybill_worker.inbox.claims import AlreadyDone, Claimed
from waybill_worker.inbox.inbox import Inbox
from waybill_worker.limits.running_handlers import RunningHandlers
from waybill_worker.limits.watchdog import Watchdog
from waybill_worker.observe.metrics import make_registry
from waybill_worker.outcome import Completed, Outcome, RetryLater
from waybill_worker.publish.publisher import OutgoingMessage, Publisher
from waybill_worker.publish.reporter import Reporter

POLICY = RetryPolicy(max_attempts=3, base_seconds=1, cap_seconds=1, jitter=0)
ENVELOPE = envelope_of(sync_event())


class ListPublisher(Publisher):
    """Keeps what is published."""

    def __init__(self) -> None:
        super().__init__(RabbitBroker(logger=None), timeout_seconds=1)
        self.published: list[OutgoingMessage] = []

    async def publish(self, message: OutgoingMessage) -> None:
        self.published.append(message)

    def told(self) -> list[str]:
        return [type_ for type_, _ in self.facts()]

    def facts(self) -> list[tuple[str, int]]:
        return [
            (event.type.value, event.data.attempt)
            for message in self.published
            if message.exchange == "events"
            for event in LIFECYCLE_BATCH.validate_json(message.body)
        ]

    def sent(self) -> list[str]:
        return [message.exchange for message in self.published if message.exchange != "events"]


class Acknowledger:
    def __init__(self) -> None:
        self.acks = 0
        self.is_lost = False

    async def ack(self) -> None:
        self.acks += 1


class FailingInbox(Inbox):
    """Refuses to record a number of times."""

    refusals = 0

    async def record(self, owner: str, envelope: Envelope, outcome: Outcome) -> Outcome | None:
        if self.refusals:
            self.refusals -= 1
            raise OperationalError("UPDATE", {}, OSError("the database is away"))
        return await super().record(owner, envelope, outcome)


class Bench:
    """A pipeline with a handler that the test gives."""

    def __init__(self, records: Records) -> None:
        self.inbox = FailingInbox(records, "sync", lease_seconds=300)
        self.inbox.make_table()
        self.publisher = ListPublisher()
        self.acknowledger = Acknowledger()
        self.runs = 0
        self._function: AsyncFunction[SyncRequested] | None = None
        reporter = Reporter(self.publisher)
        handlers = by_kind((handler(SyncRequested, self._handle, POLICY),))
        self.pipeline = Pipeline(
            "sync",
            inbox=self.inbox,
            publisher=self.publisher,
            reporter=reporter,
            attempts=Attempts("sync", self.inbox, reporter, Watchdog(), RunningHandlers()),
            metrics=AttemptMetrics("sync", make_registry(), ()),
            decoder=Decoder(handlers, NO_KEYS, POLICY),
            turns=Turns(handlers, 1),
        )

    def handles(self, function: Callable[[], Any]) -> None:
        async def call(_event: SyncRequested, _attempt: Attempt) -> dict[str, Any]:
            answer: dict[str, Any] = await function()
            return answer

        self._function = call

    async def consume(self, envelope: Envelope = ENVELOPE) -> None:
        body = sync_event().model_dump_json().encode()
        await self.pipeline.consume(Delivery(body, envelope.to_headers(), None, None, self.acknowledger))

    async def _handle(self, event: SyncRequested, attempt: Attempt) -> dict[str, Any] | None:
        self.runs += 1
        assert self._function is not None
        return await self._function(event, attempt)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    records = Records(f"sqlite:///{tmp_path}/inbox.db")
    bench = Bench(records)
    await bench.inbox.start()
    yield bench
    await bench.inbox.stop()
    await records.close()


async def done() -> dict[str, Any]:
    return {"written": True}


async def test_an_outcome_is_recorded_even_when_delivery_and_database_are_lost(
    bench: Bench,
) -> None:
    bench.handles(done)
    bench.inbox.refusals = 1
    bench.acknowledger.is_lost = True
    await bench.consume()
    bench.acknowledger.is_lost = False
    await bench.consume()

    assert bench.runs == 1
    assert bench.publisher.told() == ["task.started", "task.completed", "task.completed"]


@pytest.mark.parametrize(
    ("returned", "kept"),
    [
        (None, {}),
        ({"at": object()}, {"omitted"}),
        (["no object"], {"omitted"}),
        ({"text": "x" * 5_000_000}, {"omitted"}),
        ({"file": "\udc80"}, {"omitted"}),
    ],
)
async def test_no_result_makes_an_effect_happen_twice(
    bench: Bench, returned: object, kept: Collection[str]
) -> None:
    async def answer() -> object:
        return returned

    bench.handles(answer)
    await bench.consume()
    ticket = await bench.inbox.claim(ENVELOPE)

    assert isinstance(ticket, AlreadyDone)
    assert isinstance(ticket.outcome, Completed)
    assert ticket.outcome.result.keys() == set(kept)
    assert bench.publisher.told() == ["task.started", "task.completed"]
    assert (bench.runs, bench.publisher.sent(), bench.acknowledger.acks) == (1, [], 1)


class Untold(Exception):  # noqa: N818 - a name for the log
    """Has no text that can be read."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "told", "has_traceback"),
    [
        (KeyError("nope"), "KeyError: 'nope'", True),
        (TimeoutError(), "TimeoutError", True),
        (
            FileNotFoundError(2, "no file", "a\udc80"),
            "FileNotFoundError: [Errno 2] no file: 'a\\udc80'",
            True,
        ),
        (ValueError("a\x00b\udc80"), "ValueError: a\\x00b\\udc80", True),
        (Untold(), "Untold: Untold; reading its text failed with RuntimeError", True),
        (TransientError("busy"), "TransientError: busy", False),
    ],
)
async def test_a_retry_warning_says_what_the_error_was(
    bench: Bench, error: Exception, told: str, *, has_traceback: bool
) -> None:
    async def fail() -> None:
        raise error

    bench.handles(fail)
    with capture_logs() as lines:
        await bench.consume()

    [line] = [line for line in lines if line["event"] == "attempt failed, another one follows"]
    assert line["error"] == told
    assert line["exc_info"] is (error if has_traceback else None)
    assert bench.publisher.told() == ["task.started", "task.retrying"]


async def test_a_copy_of_an_attempt_that_is_past_has_what_superseded_it_told(bench: Bench) -> None:
    later = replace(ENVELOPE, attempt=2)
    claimed = await bench.inbox.claim(later)
    assert isinstance(claimed, Claimed)
    await bench.consume()
    assert bench.publisher.facts() == [("task.started", 2)]

    retry = RetryLater(
        at=NOON,
        seconds=1,
        max_attempts=3,
        error=ErrorInfo(type="E", message="busy"),
        wait_seconds=1,
        next_attempt_at=NOON,
    )
    assert await bench.inbox.record(claimed.owner, later, retry)
    await bench.consume()
    assert bench.publisher.facts() == [("task.started", 2), ("task.retrying", 2)]
    # Reported, and nothing more: the copy neither runs nor makes another one.
    assert (bench.runs, bench.publisher.sent(), bench.acknowledger.acks) == (0, [], 2)


async def test_a_handler_that_is_cancelled_from_within_is_tried_again(bench: Bench) -> None:
    async def wait_failed() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    bench.handles(wait_failed)
    await bench.consume()
    ticket = await bench.inbox.claim(ENVELOPE)

    assert isinstance(ticket, AlreadyDone)
    assert isinstance(ticket.outcome, RetryLater)
    assert "cut off from within" in ticket.outcome.error.message


async def test_draining_ends_what_does_not_end_itself(bench: Bench) -> None:
    begun, cleaned = asyncio.Event(), asyncio.Event()

    async def endless() -> dict[str, Any]:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()
        return {}

    bench.handles(endless)
    callback = asyncio.create_task(bench.consume())
    await begun.wait()

    assert await bench.pipeline.drain(0.01) == 1
    assert cleaned.is_set()
    assert bench.acknowledger.acks == 0
    await asyncio.gather(callback, return_exceptions=True)
    assert await bench.pipeline.drain(0.01) == 0
