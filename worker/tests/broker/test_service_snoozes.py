"""A whole service whose handler is put off by the other side: not counted, and not for ever."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from waybill_contracts.kinds.images import ImageUploaded
from waybill_contracts.wire.envelope import Envelope
from waybill_testkit.broker import Broker
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import image_event
from waybill_testkit.wire import Wire
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.errors import RateLimitedError, TransientError, UnreachableError
from waybill_worker.service import Service

Answer = Callable[[Attempt], dict[str, Any]]
Start = Callable[..., AbstractAsyncContextManager[list[tuple[int, int]]]]


@pytest.fixture
def start(topology_url: str, tmp_path: Path) -> Start:
    """Runs service `images` with the test's own answers; gives (attempt, snooze) of each run."""

    @asynccontextmanager
    async def start(answer: Answer, **values: Any) -> AsyncIterator[list[tuple[int, int]]]:
        settings = ServiceSettings(
            amqp_url=topology_url,
            inbox_url=f"sqlite:///{tmp_path}/inbox.db",
            retry_max_attempts=2,
            retry_base_seconds=1,
            retry_cap_seconds=1,
            retry_snooze_base_seconds=1,
            retry_snooze_cap_seconds=1,
            **values,
        )
        runs: list[tuple[int, int]] = []

        async def handle(_event: ImageUploaded, attempt: Attempt) -> dict[str, Any]:
            runs.append((attempt.attempt, attempt.snooze_no))
            return answer(attempt)

        service = Service("images", settings, (configured(settings, ImageUploaded, handle),))
        await service.start()
        try:
            yield runs
        finally:
            await service.stop()

    return start


def too_many(_attempt: Attempt) -> dict[str, Any]:
    raise RateLimitedError("too many at once", retry_after=1)


async def test_an_attempt_that_is_put_off_is_not_used_up(
    start: Start, wire: Wire, broker: Broker, vhost: str
) -> None:
    def answer(attempt: Attempt) -> dict[str, Any]:
        if attempt.snooze_no < 3:
            return too_many(attempt)
        if attempt.attempt == 1:
            raise TransientError("busy")
        return {"by": "the second"}

    def settled() -> bool:
        return all(q.ready == q.unacked == 0 for q in broker.management.queues(vhost))

    async with start(answer) as runs:
        await wire.request(image_event())
        events = await wire.reported(until="task.completed")
        await eventually(settled)

    assert runs == [(attempt, snooze_no) for attempt in (1, 2) for snooze_no in range(4)]
    assert [(e.type.value, e.data.attempt, e.data.snooze_no) for e in events] == [
        *((type_, 1, n) for n in range(3) for type_ in ("task.started", "task.snoozed")),
        ("task.started", 1, 3),
        ("task.retrying", 1, 3),
        *((type_, 2, n) for n in range(3) for type_ in ("task.started", "task.snoozed")),
        ("task.started", 2, 3),
        ("task.completed", 2, 3),
    ]
    snoozed = events[1].data
    assert snoozed.error is not None
    assert (snoozed.error.type, snoozed.error.message) == ("RateLimitedError", "too many at once")
    assert snoozed.next_attempt_at is not None
    assert events[2].time >= snoozed.next_attempt_at


async def test_two_copies_of_a_message_that_is_put_off_run_once_each_time(
    start: Start, wire: Wire, broker: Broker, vhost: str
) -> None:
    def answer(attempt: Attempt) -> dict[str, Any]:
        return {} if attempt.snooze_no == 2 else too_many(attempt)

    def settled() -> bool:
        queues = [q for q in broker.management.queues(vhost) if q.name != "status.work"]
        return all(q.ready == q.unacked == 0 for q in queues)

    async with start(answer) as runs:
        envelope = await wire.request(image_event())
        body = image_event().model_dump_json().encode()
        for _ in range(3):
            await wire.put("tasks", envelope.kind, body, envelope.to_headers())
        await wire.reported(until="task.completed")
        # An old copy that comes when all is over.
        await wire.put("tasks", envelope.kind, body, envelope.to_headers())
        await eventually(settled, seconds=60)

    assert runs == [(1, 0), (1, 1), (1, 2)]


async def test_what_is_put_off_for_too_long_dies_with_its_reason(start: Start, wire: Wire) -> None:
    async with start(too_many, retry_snooze_seconds=2.5) as runs:
        await wire.request(image_event())
        letter = await wire.take("images.dlq")
        events = await wire.reported(until="task.dead")

    assert letter.headers["x-dead-reason"] == "exhausted"
    assert Envelope.from_headers(letter.headers).snooze_no == runs[-1][1] > 0
    assert {attempt for attempt, _ in runs} == {1}
    assert events[-1].data.error is not None
    assert events[-1].data.error.type == "RateLimitedError"
    assert re.fullmatch(
        r"Put off \d times in 0:00:0\d, and no more; the last time: too many at once",
        events[-1].data.error.message,
    )


async def test_a_lone_task_whose_system_cannot_be_reached_waits_and_is_not_used_up(
    start: Start, wire: Wire
) -> None:
    def away(attempt: Attempt) -> dict[str, Any]:
        if attempt.snooze_no < 4:
            raise UnreachableError("connection refused")
        return {"attempt": attempt.attempt}

    async with start(away) as runs:
        await wire.request(image_event())
        events = await wire.reported(until="task.completed")

    assert runs == [(1, number) for number in range(5)]
    assert events[-1].data.result == {"attempt": 1}
    waiting = events[1].data
    assert waiting.error is not None
    assert (waiting.error.type, waiting.error.message) == ("UnreachableError", "connection refused")
    assert waiting.next_attempt_at is not None


async def test_a_subtask_does_not_outlive_the_deadline_of_its_policy(start: Start, wire: Wire) -> None:
    async with start(too_many, retry_deadline_seconds=2.5) as runs:
        await wire.request(image_event())
        letter = await wire.take("images.dlq")

    assert letter.headers["x-dead-reason"] == "deadline"
    assert len(runs) in {2, 3}
