"""The metrics of attempts, on the real broker."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from waybill_contracts.kinds.images import ImageUploaded
from waybill_contracts.wire.names import EXCHANGE_TASKS
from waybill_testkit.exposition import values
from waybill_testkit.machine.ports import free_ports
from waybill_testkit.samples import envelope_of, image_event
from waybill_testkit.wire import Wire
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.errors import PermanentError, TransientError
from waybill_worker.service import Service

KIND = ImageUploaded.KIND


async def work(event: ImageUploaded, attempt: Attempt) -> dict[str, Any]:
    if event.width == 1:
        raise PermanentError("too small")
    if attempt.attempt == 1:
        raise TransientError("not yet")
    return {}


def counted(text: str, name: str) -> dict[tuple[str, ...], float]:
    """What is more than zero; what has not happened yet is there too."""
    samples = values(text, name)
    assert 0 in samples.values()
    return {labels: value for labels, value in samples.items() if value}


@pytest.fixture
async def metrics(topology_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    (port,) = free_ports(1)
    settings = ServiceSettings(
        amqp_url=topology_url,
        inbox_url=f"sqlite:///{tmp_path}/inbox.db",
        health_port=port,
        retry_base_seconds=1,
    )
    service = Service("images", settings, (configured(settings, ImageUploaded, work),))
    await service.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client
    await service.stop()


async def test_each_attempt_is_counted_once_by_what_came_of_it(
    metrics: httpx.AsyncClient, wire: Wire
) -> None:
    envelope = await wire.request(image_event())
    await wire.reported(until="task.completed")
    # A second copy runs nothing, and counts as nothing.
    await wire.request(image_event(), task_id=envelope.task_id, id=envelope.id)
    await wire.reported(until="task.completed")
    text = (await metrics.get("/metrics")).text

    assert counted(text, "waybill_attempts_total") == {
        (KIND, "retry", "images"): 1,
        (KIND, "completed", "images"): 1,
    }
    assert values(text, "waybill_handler_seconds_count") == {(KIND, "images"): 2}
    assert values(text, "waybill_retry_wait_seconds_count") == {(KIND, "images"): 1}
    assert values(text, "waybill_lease_losses_total") == {("images",): 0}
    assert envelope.task_id not in text


async def test_dead_letters_are_counted_by_their_reason(metrics: httpx.AsyncClient, wire: Wire) -> None:
    await wire.request(image_event().model_copy(update={"width": 1}))
    await wire.reported(until="task.dead")
    await wire.put(EXCHANGE_TASKS, KIND, b"no JSON", envelope_of(image_event()).to_headers())
    await wire.reported(until="task.dead")
    text = (await metrics.get("/metrics")).text

    assert counted(text, "waybill_dead_letters_total") == {
        (KIND, "permanent", "images"): 1,
        ("unknown", "unreadable", "images"): 1,
    }
    assert counted(text, "waybill_attempts_total") == {(KIND, "died", "images"): 1}
