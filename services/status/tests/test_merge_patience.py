import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest
from prometheus_client import CollectorRegistry

from waybill_contracts.registry import Registry
from waybill_contracts.wire import LifecycleType
from waybill_database import Records
from waybill_ledger import SpawnTerms
from waybill_status.handlers import (
    BUSY_MERGE_SECONDS,
    BUSY_MESSAGES,
    MERGE_SECONDS,
    Merge,
    apply_lifecycle,
)
from waybill_status.upkeep.metrics import StatusMetrics
from waybill_testkit.samples import reported

PREFETCH = 20


@pytest.fixture
async def records(ledger_url: str) -> AsyncIterator[Records]:
    records = Records(ledger_url)
    yield records
    await records.close()


@pytest.fixture
def merge() -> Merge:
    def no_terms() -> SpawnTerms:
        return SpawnTerms(None, Registry(), None, None)  # type: ignore[arg-type] # nothing is spawned

    return Merge(None, StatusMetrics(CollectorRegistry()), no_terms, prefetch=PREFETCH)


async def applied(records: Records, merge: Merge, messages: int) -> None:
    event = reported(LifecycleType.STARTED, "01a20000-0000-7000-8000-000000000000")
    await asyncio.gather(*(apply_lifecycle([event], records, merge) for _ in range(messages)))


def patience(merge: Merge) -> float:
    with merge.patience() as seconds:
        return seconds


async def test_messages_wait_longer_for_each_other_only_while_many_come(
    records: Records, merge: Merge
) -> None:
    assert patience(merge) == MERGE_SECONDS
    await applied(records, merge, BUSY_MESSAGES)
    assert patience(merge) == BUSY_MERGE_SECONDS
    await applied(records, merge, BUSY_MESSAGES - 1)
    assert patience(merge) == MERGE_SECONDS


async def test_nothing_waits_once_half_of_what_the_broker_delivers_is_here(merge: Merge) -> None:
    with ExitStack() as waiting:
        given = [waiting.enter_context(merge.patience()) for _ in range(PREFETCH // 2)]
    assert given[:-1] == [MERGE_SECONDS] * (PREFETCH // 2 - 1)
    assert given[-1] == 0
    assert patience(merge) == MERGE_SECONDS
