import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from time import monotonic

import pytest
from prometheus_client import CollectorRegistry

from waybill_contracts.registry import Registry
from waybill_database import Records
from waybill_ledger import QueueMeasured, StallTimeouts, Submission, accept, last_measurement
from waybill_status.upkeep.measurer import Measurer
from waybill_status.upkeep.metrics import StatusMetrics
from waybill_testkit.samples import new_task
from waybill_worker.broker import QueueStats
from waybill_worker.runtime.throttle import PAUSE

CHECK_SECONDS = 0.05


@pytest.fixture
async def records(ledger_url: str) -> AsyncIterator[Records]:
    records = Records(ledger_url)
    yield records
    await records.close()


async def test_who_measures_for_long_pauses_for_longer(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[float] = []

    async def measure_for_long(_: Measurer) -> None:
        begun.append(monotonic())
        await asyncio.sleep(CHECK_SECONDS)
        if len(begun) == 2:
            again.set()

    again = asyncio.Event()
    monkeypatch.setattr(Measurer, "measure", measure_for_long)
    minute = timedelta(minutes=1)
    measurer = Measurer(
        records,
        StatusMetrics(CollectorRegistry()),
        timeouts=StallTimeouts(minute, minute, minute),
        look_seconds=CHECK_SECONDS,
        registry=Registry,
        queues=tuple,
        queue_stats=lambda _: asyncio.sleep(0, None),
    )

    measurer.start()
    await again.wait()
    await measurer.stop()

    assert begun[1] - begun[0] >= PAUSE * CHECK_SECONDS


async def idle_since(measurer: Measurer, records: Records) -> datetime:
    await measurer.measure()
    kept = await records.read(last_measurement)
    assert kept is not None
    assert kept.queues is not None
    since = kept.queues["email.work"].idle_since
    assert since is not None
    return since


async def test_what_is_measured_is_kept_in_the_ledger(records: Records) -> None:
    minute = timedelta(minutes=1)
    answers: dict[str, QueueStats | None] = {"email.work": QueueStats(3, 1), "email.dlq": QueueStats(0, 2)}

    async def stats(queue: str) -> QueueStats | None:
        return answers[queue]

    measurer = Measurer(
        records,
        StatusMetrics(CollectorRegistry()),
        timeouts=StallTimeouts(minute, minute, minute),
        look_seconds=CHECK_SECONDS,
        registry=Registry,
        queues=lambda: list(answers),
        queue_stats=stats,
    )
    await records.write(accept, Submission(new_task(created_at=records.now())))
    await measurer.measure()
    kept = await records.read(last_measurement)
    assert kept is not None
    assert kept.queues == {"email.work": QueueMeasured(3, 1), "email.dlq": QueueMeasured(0, 2)}
    assert [(part.service, part.subtasks) for part in kept.work["default"]] == [("email", 1)]

    # Without a consumer since the first measurement that found none.
    answers["email.work"] = QueueStats(3, 0)
    first = await idle_since(measurer, records)
    again = await idle_since(measurer, records)
    assert kept.at < first == again

    # Of a broker that is away nothing is known, rather than what was known before.
    answers["email.dlq"] = None
    await measurer.measure()
    later = await records.read(last_measurement)
    assert later is not None
    assert later.queues is None
    assert later.at > kept.at
