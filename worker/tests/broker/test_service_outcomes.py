"""A whole service with a handler of the test's, on the real broker: what becomes of its messages."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from waybill_contracts.kinds.images import ImageUploaded
from waybill_contracts.wire.envelope import Envelope
from waybill_contracts.wire.lifecycle import DeadReason
from waybill_testkit.broker import Broker
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import envelope_of, image_event
from waybill_testkit.wire import Wire
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.errors import PermanentError, TransientError
from waybill_worker.failure_location import service_version
from waybill_worker.service import Service

Answer = Callable[[Attempt], dict[str, Any]]


class Work:
    """The handler: notes each run, and answers as the test says."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, int]] = []
        self.answer: Answer = lambda attempt: {"attempt": attempt.attempt}

    async def __call__(self, _event: ImageUploaded, attempt: Attempt) -> dict[str, Any]:
        self.runs.append((attempt.task_id, attempt.attempt))
        return self.answer(attempt)


@pytest.fixture
async def work(topology_url: str, tmp_path: Path) -> AsyncIterator[Work]:
    """A running service `images`."""
    settings = ServiceSettings(
        amqp_url=topology_url,
        inbox_url=f"sqlite:///{tmp_path}/inbox.db",
        retry_max_attempts=2,
        retry_base_seconds=1,
        retry_cap_seconds=1,
    )
    work = Work()
    service = Service("images", settings, (configured(settings, ImageUploaded, work.__call__),))
    await service.start()
    yield work
    await service.stop()


def failing(error: Exception, attempts: int = 1000) -> Answer:
    def answer(attempt: Attempt) -> dict[str, Any]:
        if attempt.attempt <= attempts:
            raise error
        return {"attempt": attempt.attempt}

    return answer


async def nothing_is_left(broker: Broker, vhost: str) -> None:
    """Every queue is empty and nothing is unacknowledged, once the broker's numbers have settled."""

    def settled() -> bool:
        return all(q.ready == q.unacked == 0 for q in broker.management.queues(vhost))

    await eventually(settled)


async def test_a_task_that_succeeds_is_told_and_acknowledged(
    work: Work, wire: Wire, broker: Broker, vhost: str
) -> None:
    envelope = await wire.request(image_event())
    started, completed = await wire.reported(until="task.completed")

    assert [started.type, completed.type] == ["task.started", "task.completed"]
    assert {event.data.task_id for event in (started, completed)} == {envelope.task_id}
    assert completed.data.result == {"attempt": 1}
    assert (completed.data.attempt, completed.data.max_attempts) == (1, 2)
    assert completed.data.seconds is not None
    assert work.runs == [(envelope.task_id, 1)]
    await nothing_is_left(broker, vhost)


async def test_a_transient_error_is_tried_again(work: Work, wire: Wire, broker: Broker, vhost: str) -> None:
    work.answer = failing(TransientError("busy"), attempts=1)
    envelope = await wire.request(image_event())
    events = await wire.reported(until="task.completed")

    assert [(event.type.value, event.data.attempt) for event in events] == [
        ("task.started", 1),
        ("task.retrying", 1),
        ("task.started", 2),
        ("task.completed", 2),
    ]
    retrying, again = events[1], events[2]
    assert retrying.data.error is not None
    assert retrying.data.error.message == "busy"
    assert retrying.data.next_attempt_at is not None
    assert again.time >= retrying.data.next_attempt_at
    assert work.runs == [(envelope.task_id, 1), (envelope.task_id, 2)]
    await nothing_is_left(broker, vhost)


async def test_a_permanent_error_is_a_dead_letter_at_once(work: Work, wire: Wire) -> None:
    """Pain: a DLQ is declared, failures are acknowledged anyway (taskiq 322)."""
    work.answer = failing(PermanentError("no picture"))
    body = image_event().model_dump_json(indent=3).encode()
    envelope = envelope_of(image_event())
    await wire.put("tasks", envelope.kind, body, envelope.to_headers() | {"x-strange": "kept"})
    letter = await wire.take("images.dlq")
    events = await wire.reported(until="task.dead")

    assert letter.body == body
    assert letter.correlation_id == "order-7"
    assert Envelope.from_headers(letter.headers) == envelope
    assert {
        name: letter.headers[name] for name in letter.headers if name.startswith("x-") and "deliv" not in name
    } == {
        "x-task-id": envelope.task_id,
        "x-attempt": 1,
        "x-redrive-no": 0,
        "x-strange": "kept",
        "x-dead-reason": "permanent",
        "x-error-type": "PermanentError",
        "x-error-message": "no picture",
        "x-error-frame": "test_service_outcomes:answer",
        "x-died-at": letter.headers["x-died-at"],
        "x-died-in": "images",
        "x-service-version": service_version("images"),
        "x-traceback": letter.headers["x-traceback"],
    }
    assert "no picture" in str(letter.headers["x-traceback"])
    assert (events[-1].data.reason, len(work.runs)) == ("permanent", 1)


async def test_when_attempts_run_out_it_is_a_dead_letter(work: Work, wire: Wire) -> None:
    """Pain: see docs/pains.md.

    "retry=3" requeues for ever; counters are per process (faststream 1488, faststream 1657, faststream
    2216).
    """
    work.answer = failing(ZeroDivisionError("a defect"))
    envelope = await wire.request(image_event())
    letter = await wire.take("images.dlq")
    events = await wire.reported(until="task.dead")

    assert [event.type.value for event in events] == [
        "task.started",
        "task.retrying",
        "task.started",
        "task.dead",
    ]
    assert work.runs == [(envelope.task_id, 1), (envelope.task_id, 2)]
    assert letter.headers["x-dead-reason"] == "exhausted"
    assert (letter.headers["x-attempt"], letter.headers["x-max-attempts"]) == (2, 2)
    assert letter.headers["x-error-type"] == "ZeroDivisionError"
    # It has been through the ladder, and the broker's notes about that went no further.
    assert not [name for name in letter.headers if name == "x-death" or name.startswith("x-first-death")]


async def test_what_cannot_be_read_is_a_dead_letter_and_the_others_go_on(work: Work, wire: Wire) -> None:
    good = image_event()
    headers = envelope_of(good).to_headers()
    unreadable = {
        b"no json": headers,
        b"no headers": {},
        b"other contract": headers | {"cloudEvents_dataschema": "urn:waybill:email.requested:v1"},
        b"no version": headers | {"cloudEvents_dataschema": "urn:waybill:image.uploaded:v0"},
        b"\xff\xfe": headers | {"x-attempt": "one"},
    }
    for body, damaged in unreadable.items():
        await wire.put("tasks", good.KIND, body, damaged)
    envelope = await wire.request(good)
    letters = [await wire.take("images.dlq") for _ in unreadable]
    events = await wire.reported(until="task.completed")

    assert {letter.body for letter in letters} == unreadable.keys()
    assert {letter.headers["x-dead-reason"] for letter in letters} == {"unreadable"}
    assert work.runs == [(envelope.task_id, 1)]
    # Three said at least which task they belong to.
    assert [event.data.reason for event in events].count(DeadReason.UNREADABLE) == 3


async def test_a_message_that_comes_twice_has_one_effect(
    work: Work, wire: Wire, broker: Broker, vhost: str
) -> None:
    envelope = await wire.request(image_event(), copies=5)
    await wire.reported(until="task.completed")
    await nothing_is_left_but_the_status_services(broker, vhost)

    assert work.runs == [(envelope.task_id, 1)]


async def nothing_is_left_but_the_status_services(broker: Broker, vhost: str) -> None:
    def settled() -> bool:
        queues = [q for q in broker.management.queues(vhost) if q.name != "status.work"]
        return all(q.ready == q.unacked == 0 for q in queues)

    await eventually(settled, seconds=60)


async def test_a_deadline_that_has_passed_ends_the_task_unattempted(work: Work, wire: Wire) -> None:
    envelope = envelope_of(image_event())
    late = envelope_of(image_event(), deadline=envelope.time)
    await wire.put("tasks", late.kind, image_event().model_dump_json().encode(), late.to_headers())
    letter = await wire.take("images.dlq")

    assert letter.headers["x-dead-reason"] == "deadline"
    assert work.runs == []


async def test_many_at_once_each_once(work: Work, wire: Wire, broker: Broker, vhost: str) -> None:
    work.answer = _every_third_fails_first
    envelopes = [await wire.request(image_event()) for _ in range(60)]
    done: set[str] = set()
    while len(done) < len(envelopes):
        events = await wire.reported(until="task.completed")
        done |= {event.data.task_id for event in events if event.type == "task.completed"}
    await nothing_is_left_but_the_status_services(broker, vhost)

    assert done == {envelope.task_id for envelope in envelopes}
    assert len(work.runs) == len(set(work.runs))


def _every_third_fails_first(attempt: Attempt) -> dict[str, Any]:
    if attempt.attempt == 1 and int(attempt.task_id[-1], 16) % 3 == 0:
        raise TransientError("busy")
    return {}
