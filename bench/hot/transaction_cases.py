"""Runs transactions of the hot path in a process of its own, as `bench.hot.transactions` asks it to."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from waybill_contracts.wire import LifecycleData, LifecycleEvent, LifecycleType, lifecycle_event
from waybill_database import Records
from waybill_ledger import Accepted, NewTask, Submission, accept, apply_events, delete_published
from waybill_ledger.migrations import upgrade
from waybill_testkit.samples import email_event, envelope_of, new_task
from waybill_worker.inbox import Claimed, Inbox
from waybill_worker.outcome import Completed

RESULT: Final = {"message": "a@b", "done": True}


class Cases:
    """A ledger and an inbox in one database, and transactions of a given number of tasks."""

    def __init__(self, url: str) -> None:
        self._records = Records(url)
        self._inbox = Inbox(self._records, "email", lease_seconds=300)

    async def prepare(self, url: str) -> None:
        """Makes all tables."""
        await asyncio.to_thread(upgrade, url)
        await asyncio.to_thread(self._inbox.make_table)

    async def measure(self, name: str, size: int, times: int) -> float:
        """Processor time of a transaction in µs."""
        prepare: Callable[[int], Awaitable[Any]] = getattr(self, f"_before_{name}")
        run: Callable[[Any], Awaitable[Any]] = getattr(self, f"_{name}")
        made = [await prepare(size) for _ in range(times)]
        before = time.process_time_ns()
        for each in made:
            await run(each)
        return (time.process_time_ns() - before) / times / 1000

    async def _before_accept(self, size: int) -> list[Submission]:
        return [Submission(new_task(email_event(), created_at=datetime.now(UTC))) for _ in range(size)]

    async def _accept(self, submissions: Sequence[Submission]) -> list[Any]:
        return await asyncio.gather(*(self._records.write(accept, each) for each in submissions))

    async def _before_mark(self, size: int) -> list[int]:
        answers = await self._accept(await self._before_accept(size))
        return [a.message.outbox_id for a in answers if isinstance(a, Accepted) and a.message is not None]

    async def _mark(self, outbox_ids: Sequence[int]) -> None:
        await asyncio.gather(
            *(self._records.write(delete_published, [each], relaxed=True) for each in outbox_ids)
        )

    async def _before_claim(self, size: int) -> list[Any]:
        return [envelope_of(email_event()) for _ in range(size)]

    async def _claim(self, envelopes: Sequence[Any]) -> list[Any]:
        return await asyncio.gather(*map(self._inbox.claim, envelopes))

    async def _before_record(self, size: int) -> list[tuple[str, Any]]:
        envelopes = await self._before_claim(size)
        tickets = await self._claim(envelopes)
        return [(t.owner, e) for t, e in zip(tickets, envelopes, strict=True) if isinstance(t, Claimed)]

    async def _record(self, claims: Sequence[tuple[str, Any]]) -> None:
        done = Completed(at=datetime.now(UTC), seconds=0.01, max_attempts=4, result=RESULT)
        await asyncio.gather(*(self._inbox.record(owner, envelope, done) for owner, envelope in claims))

    async def _before_merge(self, size: int) -> list[list[LifecycleEvent]]:
        submissions = await self._before_accept(size)
        await self._accept(submissions)
        return [_events(submission.task) for submission in submissions]

    async def _merge(self, batches: Sequence[list[LifecycleEvent]]) -> None:
        await asyncio.gather(*(self._records.write(_apply, events) for events in batches))


def _apply(connection: Any, batches: Sequence[Sequence[LifecycleEvent]]) -> Sequence[None]:
    apply_events(connection, [event for batch in batches for event in batch])
    return [None] * len(batches)


def _events(task: NewTask) -> list[LifecycleEvent]:
    now = datetime.now(UTC)
    facts: dict[str, Any] = {"task_id": task.id, "service": "email", "kind": task.kind, "redrive_no": 0}
    begun = LifecycleData(**facts, attempt=1, max_attempts=4)
    done = LifecycleData(**facts, attempt=1, max_attempts=4, seconds=0.01, result=RESULT)
    return [
        lifecycle_event(LifecycleType.STARTED, now, begun),
        lifecycle_event(LifecycleType.COMPLETED, now, done),
    ]


async def _answer(url: str) -> None:
    cases = Cases(url)
    await cases.prepare(url)
    print(f"ready {Path(sys.modules[Records.__module__].__file__ or '').parent}", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, size, times = line.split()
        print(await cases.measure(name, int(size), int(times)), flush=True)


if __name__ == "__main__":
    asyncio.run(_answer(sys.argv[1]))
