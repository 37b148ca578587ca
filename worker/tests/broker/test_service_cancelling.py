"""A whole service, and tasks that are cancelled: before, between and during their attempts."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from waybill_contracts.kinds.images import ImageUploaded
from waybill_contracts.wire.control import CancelRequested
from waybill_contracts.wire.names import EXCHANGE_CONTROL
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import NOON, image_event
from waybill_testkit.wire import Wire
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.errors import TransientError
from waybill_worker.limits.running_handlers import uncancellable
from waybill_worker.service import Service


class Work:
    """The handler: fails, or works in two parts of which the second cannot be taken back."""

    def __init__(self) -> None:
        self.runs = 0
        self.effects = 0
        self.fails = False
        self.prepared, self.sent = asyncio.Event(), asyncio.Event()

    async def __call__(self, _event: ImageUploaded, _attempt: Attempt) -> dict[str, Any]:
        self.runs += 1
        if self.fails:
            raise TransientError("busy")
        await self.prepared.wait()
        await uncancellable(self._send())
        return {}

    async def _send(self) -> None:
        self.effects += 1
        await self.sent.wait()


@pytest.fixture
async def work(topology_url: str, tmp_path: Path) -> AsyncIterator[Work]:
    """A running service `images`."""
    settings = ServiceSettings(
        amqp_url=topology_url,
        inbox_url=f"sqlite:///{tmp_path}/inbox.db",
        retry_max_attempts=3,
        retry_base_seconds=2,
        retry_jitter=0,
    )
    work = Work()
    service = Service("images", settings, (configured(settings, ImageUploaded, work.__call__),))
    await service.start()
    yield work
    work.prepared.set()
    work.sent.set()
    await service.stop()


async def call_off(wire: Wire, task_id: str) -> None:
    request = CancelRequested(task_id=task_id, requested_at=NOON)
    await wire.put(EXCHANGE_CONTROL, "images", request.model_dump_json().encode(), {})


async def test_no_attempt_follows_in_a_task_that_was_cancelled(work: Work, wire: Wire) -> None:
    work.fails = True
    envelope = await wire.request(image_event())
    await wire.reported(until="task.retrying")
    await call_off(wire, envelope.task_id)
    (cancelled,) = await wire.reported(until="task.cancelled")

    assert (cancelled.data.task_id, cancelled.data.attempt, work.runs) == (envelope.task_id, 2, 1)


async def test_what_was_cancelled_while_its_service_was_away_does_not_begin(
    topology_url: str, tmp_path: Path, wire: Wire
) -> None:
    envelopes = [await wire.request(image_event()) for _ in range(20)]
    for envelope in envelopes:
        await call_off(wire, envelope.task_id)
    settings = ServiceSettings(amqp_url=topology_url, inbox_url=f"sqlite:///{tmp_path}/inbox.db")
    work = Work()
    service = Service("images", settings, (configured(settings, ImageUploaded, work.__call__),))
    await service.start()
    told: set[str] = set()
    while len(told) < len(envelopes):
        told |= {event.data.task_id for event in await wire.reported(until="task.cancelled")}
    await service.stop()

    assert told == {envelope.task_id for envelope in envelopes}
    assert work.runs == 0


async def test_a_handler_stops_before_the_point_of_no_return(work: Work, wire: Wire) -> None:
    envelope = await wire.request(image_event())
    await eventually(lambda: work.runs)
    await call_off(wire, envelope.task_id)
    events = await wire.reported(until="task.cancelled")

    assert [event.type.value for event in events] == ["task.started", "task.cancelled"]
    assert work.effects == 0


async def test_a_handler_past_that_point_is_told_as_completed(work: Work, wire: Wire) -> None:
    work.prepared.set()
    envelope = await wire.request(image_event())
    await eventually(lambda: work.effects)
    await call_off(wire, envelope.task_id)
    work.sent.set()
    events = await wire.reported(until="task.completed")

    assert [event.type.value for event in events] == ["task.started", "task.completed"]
    assert work.effects == 1


async def test_only_the_task_that_was_cancelled_is_stopped(work: Work, wire: Wire) -> None:
    stopped, goes_on = await wire.request(image_event()), await wire.request(image_event())
    await eventually(lambda: work.runs == 2)
    await call_off(wire, stopped.task_id)
    await wire.reported(until="task.cancelled")
    work.prepared.set()
    work.sent.set()
    (completed,) = await wire.reported(until="task.completed")

    assert (completed.data.task_id, work.effects) == (goes_on.task_id, 1)
