"""What users of other task queues suffer from, tried on a whole service; docs/pains.md lists all of it."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiormq
import pytest

from waybill_contracts.kinds.images import ImageUploaded
from waybill_testkit.eventually import eventually
from waybill_testkit.proxy import Proxy
from waybill_testkit.samples import image_event
from waybill_testkit.wire import Wire
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.errors import TransientError
from waybill_worker.service import Service

Answer = Callable[[Attempt], None]


@asynccontextmanager
async def running(url: str, folder: Path, answer: Answer, **values: Any) -> AsyncIterator[Service]:
    """A service whose handler does what `answer` says; it waits a second before each further attempt."""

    async def handle(_event: ImageUploaded, attempt: Attempt) -> dict[str, Any]:
        answer(attempt)
        return {}

    waits = {"retry_base_seconds": 1, "retry_cap_seconds": 1, "retry_jitter": 0}
    settings = ServiceSettings(amqp_url=url, inbox_url=f"sqlite:///{folder}/inbox.db", **waits | values)
    service = Service("images", settings, (configured(settings, ImageUploaded, handle),))
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


def nothing(_attempt: Attempt) -> None:
    """Succeeds at once."""


async def test_a_task_that_waits_for_its_retry_holds_up_no_other(
    topology_url: str, wire: Wire, tmp_path: Path
) -> None:
    """Pain: delayed tasks eat the prefetch and block workers (celery 2731, rabbitmq-server 11948)."""
    waiting = {(await wire.request(image_event())).task_id for _ in range(5)}

    def answer(attempt: Attempt) -> None:
        if attempt.task_id in waiting:
            raise TransientError("busy")

    long = {"retry_base_seconds": 600, "retry_cap_seconds": 600}
    async with running(topology_url, tmp_path, answer, prefetch=1, **long):
        # One message at a time, and all that came first wait for ten minutes.
        for number in range(5):
            retrying = await wire.reported(until="task.retrying")
            assert retrying[-1].data.task_id in waiting, number
        envelope = await wire.request(image_event())
        completed = (await wire.reported(until="task.completed"))[-1]

    assert completed.data.task_id == envelope.task_id


async def test_a_message_goes_round_the_same_delay_queue_as_often_as_it_must(
    topology_url: str, wire: Wire, tmp_path: Path
) -> None:
    """Pain: a delayed retry on quorum queues is dropped as a cycle (celery 9867)."""

    def answer(attempt: Attempt) -> None:
        if attempt.attempt < 5:
            raise TransientError("busy")

    async with running(topology_url, tmp_path, answer):
        await wire.request(image_event())
        events = await wire.reported(until="task.completed")

    waits = [event.data.attempt for event in events if event.type == "task.retrying"]
    assert waits == [1, 2, 3, 4]
    assert events[-1].data.attempt == 5


@pytest.fixture
def no_log() -> Iterator[None]:
    """No log records, which pytest keeps with all that they are about."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("no_log")
async def test_broken_connections_leave_nothing_behind(
    topology_url: str, wire: Wire, proxy: Proxy, tmp_path: Path
) -> None:
    """Pain: memory leaks on broken connections (celery 4843)."""
    async with running(proxy.url(topology_url), tmp_path, nothing) as service:

        async def is_ready() -> bool:
            return (await service._health._readiness()).is_ready  # noqa: SLF001 - the checks of /readyz

        async def break_and_mend() -> int:
            made = proxy.connections
            proxy.cut()
            await eventually(lambda: proxy.connections >= made + 2)  # one publishes, one consumes
            await eventually(is_ready)
            await wire.request(image_event())
            await wire.reported(until="task.completed")
            gc.collect()
            return sum(isinstance(each, aiormq.Channel | aiormq.Connection) for each in gc.get_objects())

        settled = [await break_and_mend() for _ in range(3)][-1]
        tasks = len(asyncio.all_tasks())
        kept = [await break_and_mend() for _ in range(8)][-1]

        # What one break leaves for a moment may be counted; eight breaks would leave eight times that.
        assert kept <= settled + 3
        assert len(asyncio.all_tasks()) <= tasks + 5
