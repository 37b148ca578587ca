"""A whole service with a limit for one kind: it is kept, and the other kinds of the queue go on."""

import asyncio
from pathlib import Path
from typing import Any

from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.kinds.users import UserCreated
from waybill_testkit.samples import sync_event, user_event
from waybill_testkit.wire import Wire
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.service import Service

BACKLOG = 30


async def test_a_backlog_of_a_limited_kind_passes_by_and_its_limit_is_kept(
    topology_url: str, tmp_path: Path, wire: Wire
) -> None:
    settings = ServiceSettings(amqp_url=topology_url, inbox_url=f"sqlite:///{tmp_path}/inbox.db", prefetch=8)
    go_on = asyncio.Event()
    at_once, most = 0, 0

    async def slow(_event: SyncRequested, _attempt: Attempt) -> dict[str, Any]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await go_on.wait()
        at_once -= 1
        return {}

    async def quick(_event: UserCreated, _attempt: Attempt) -> dict[str, Any]:
        return {"quick": True}

    limited = configured(settings, SyncRequested, slow, concurrency=2)
    service = Service("sync", settings, (limited, configured(settings, UserCreated, quick)))
    # All of the backlog lies before the other kind in the queue.
    backlog = {(await wire.request(sync_event(str(number)))).task_id for number in range(BACKLOG)}
    other = await wire.request(user_event())
    await service.start()
    try:
        events = await wire.reported(until="task.completed")
        assert [e.data.task_id for e in events if e.type == "task.completed"] == [other.task_id]
        assert most == 2
        go_on.set()
        done: set[str] = set()
        while done < backlog:
            events = await wire.reported(until="task.completed")
            done |= {event.data.task_id for event in events if event.type == "task.completed"}
    finally:
        await service.stop()
    assert done == backlog
    assert most == 2
    assert await wire.ready("sync.dlq") == 0
