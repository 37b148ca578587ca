import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from time import monotonic

import pytest
from prometheus_client import CollectorRegistry

from waybill_contracts.registry import Registry
from waybill_database import Records
from waybill_ledger import StallTimeouts
from waybill_status.upkeep.measurer import Measurer
from waybill_status.upkeep.metrics import StatusMetrics
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
