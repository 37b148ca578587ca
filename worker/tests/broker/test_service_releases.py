"""An old and a new release of one service on one queue, as in a rolling deployment: nothing is given up."""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from waybill_contracts.events import Event
from waybill_contracts.kinds.images import ImageUploaded
from waybill_contracts.versions.upcasters import UPCASTERS
from waybill_contracts.wire.envelope import Envelope
from waybill_contracts.wire.lifecycle import LIFECYCLE_BATCH, LifecycleEvent
from waybill_testkit.samples import envelope_of, image_event
from waybill_testkit.wire import Wire
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.service import Service

Start = Callable[..., AbstractAsyncContextManager[None]]


class ImageUploadedTwo(ImageUploaded):
    """The next version of a kind: what it requires, no older release can read."""

    VERSION: ClassVar[int] = 2

    palette: str


class ImageRotated(Event):
    """A kind that the new release adds."""

    KIND: ClassVar[str] = "image.rotated"

    degrees: int


OLD = (ImageUploaded,)
NEW = (ImageUploadedTwo, ImageRotated)


@pytest.fixture
def start(topology_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Runs a release of service `images` that knows the given events; its result has its name."""
    to_two: Callable[[dict[str, Any]], dict[str, Any]] = lambda payload: payload | {"palette": "none"}  # noqa: E731
    monkeypatch.setitem(UPCASTERS, (ImageUploaded.KIND, 1), to_two)

    @asynccontextmanager
    async def start(name: str, events: tuple[type[Event], ...], **values: Any) -> AsyncIterator[None]:
        settings = ServiceSettings(
            amqp_url=topology_url,
            inbox_url=f"sqlite:///{tmp_path}/inbox.db",
            prefetch=1,
            retry_max_attempts=2,
            retry_snooze_base_seconds=1,
            retry_snooze_cap_seconds=1,
            **values,
        )

        async def handle(_event: Event, _attempt: Attempt) -> dict[str, Any]:
            return {"by": name}

        service = Service("images", settings, tuple(configured(settings, e, handle) for e in events))
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    return start


async def put(wire: Wire, event: Event) -> Envelope:
    """Straight into the queue: no topology has a binding of a kind that is new."""
    envelope = envelope_of(event)
    await wire.put("", "images.work", event.model_dump_json().encode(), envelope.to_headers())
    return envelope


async def until_completed(wire: Wire, tasks: list[Envelope]) -> list[LifecycleEvent]:
    events: dict[str, LifecycleEvent] = {}
    open_ = {task.task_id for task in tasks}
    while open_:
        for event in LIFECYCLE_BATCH.validate_json((await wire.take("status.work")).body):
            events.setdefault(event.id, event)
            if event.type == "task.completed":
                open_.discard(event.data.task_id)
    return list(events.values())


async def snoozed(wire: Wire) -> set[str]:
    events = await wire.reported(until="task.snoozed")
    return {event.data.task_id for event in events if event.type == "task.snoozed"}


def of_version_two() -> ImageUploadedTwo:
    return ImageUploadedTwo(**json.loads(image_event().model_dump_json()), palette="warm")


async def test_both_releases_on_one_queue_complete_all_and_give_up_none(start: Start, wire: Wire) -> None:
    async with start("old", OLD):
        # All of them come to the old release first, which is alone.
        new = [await put(wire, event) for event in (of_version_two(), ImageRotated(degrees=90))]
        put_off: set[str] = set()
        while put_off < {task.task_id for task in new}:
            put_off |= await snoozed(wire)
        async with start("new", NEW):
            more = [
                await put(wire, event)
                for _ in range(10)
                for event in (image_event(), of_version_two(), ImageRotated(degrees=90))
            ]
            events = await until_completed(wire, new + more)

    assert {event.type.value for event in events} <= {"task.started", "task.snoozed", "task.completed"}
    done = {e.data.task_id: e.data for e in events if e.type == "task.completed"}
    old_version = {task.task_id for task in more if task.dataschema.endswith("uploaded:v1")}
    for task_id, data in done.items():
        # A snooze is no attempt.
        assert (data.attempt, data.max_attempts) == (1, 2)
        if task_id not in old_version:
            assert data.result == {"by": "new"}
    assert await wire.ready("images.dlq") == 0


async def test_what_no_release_reads_in_time_is_a_dead_letter_that_says_so(start: Start, wire: Wire) -> None:
    async with start("old", OLD, retry_snooze_seconds=2.5):
        await put(wire, of_version_two())
        letter = await wire.take("images.dlq")
        events = await wire.reported(until="task.dead")

    assert letter.headers["x-dead-reason"] == "unreadable"
    assert Envelope.from_headers(letter.headers).max_attempts is None
    error = events[-1].data.error
    assert error is not None
    assert error.type == "NotReadableYetError"
    assert re.fullmatch(
        r"Put off \d times in 0:00:0\d, and no more; the last time: .*image.uploaded:v2 is newer than .*",
        error.message,
    )
