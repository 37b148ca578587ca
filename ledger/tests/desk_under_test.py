"""The failure desk on a ledger: tasks that fail, letters that come in, redrives that are run step by step."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from waybill_contracts.events import Event
from waybill_contracts.wire.lifecycle import (
    DeadReason,
    ErrorInfo,
    LifecycleData,
    LifecycleEvent,
    LifecycleType,
    lifecycle_event,
)
from waybill_database import Records
from waybill_ledger import (
    CompanionRow,
    NewTask,
    PendingMessage,
    ResetToken,
    Submission,
    Task,
    accept,
    apply_events,
    delete_published,
    get_task,
)
from waybill_ledger.deadletters.groups.queries import Group, GroupFilter, list_groups
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import DeadMessage, letter_of
from waybill_ledger.deadletters.letters.letter_detail import letter_detail
from waybill_ledger.deadletters.letters.queries import LetterFilter, list_letters
from waybill_ledger.deadletters.redrives.control import Refused, Start, Steer, start, steer
from waybill_ledger.deadletters.redrives.edits import Edit
from waybill_ledger.deadletters.redrives.execution import Turn, may_send, send
from waybill_ledger.deadletters.redrives.plan import NewRedrive, make_redrive
from waybill_ledger.deadletters.redrives.queries import ItemFilter, Redrive, get_redrive, list_items
from waybill_ledger.deadletters.redrives.settlement import Settled, Settlement, settle
from waybill_testkit.samples import ERROR, NOON, dead_message, event_in, gate_of, new_task, sync_event

LATER = NOON + timedelta(hours=1)
KEEP = timedelta(days=30)


@dataclass
class Clock:
    """Moves on when the test says so."""

    now: datetime = field(default=LATER)

    def tick(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Desk:
    def __init__(self, url: str) -> None:
        self.records = Records(url)
        self.clock = Clock()
        self.gate = gate_of()

    async def apply(self, *events: LifecycleEvent) -> None:
        def write(connection: Connection, batches: Sequence[Any]) -> list[None]:
            apply_events(connection, [event for batch in batches for event in batch])
            return [None] * len(batches)

        await self.records.write(write, events)

    async def failed(
        self,
        count: int = 1,
        event: Event | None = None,
        *,
        error: ErrorInfo = ERROR,
        reason: DeadReason = DeadReason.EXHAUSTED,
        **message: Any,
    ) -> list[NewTask]:
        """Tasks whose sync has failed for good, and whose letters have come in."""
        tasks = [new_task(event or sync_event(str(n))) for n in range(count)]
        for task in tasks:
            accepted = await self.records.write(accept, Submission(task))
            await self.records.write(delete_published, [accepted.message.outbox_id])  # type: ignore[union-attr]
        await self.apply(*(self.told(task, LifecycleType.DEAD, error=error, reason=reason) for task in tasks))
        for task in tasks:
            await self.came(dead_message(event_in(task), task.id, error=error, reason=reason, **message))
        return tasks

    def told(
        self, task: NewTask, type_: LifecycleType, *, redrive_no: int = 0, attempt: int = 4, **data: Any
    ) -> LifecycleEvent:
        facts: dict[str, Any] = {"result": {"done": True}} if type_ is LifecycleType.COMPLETED else {}
        if type_ is LifecycleType.DEAD:
            facts = {"error": ERROR, "reason": DeadReason.EXHAUSTED}
        about = LifecycleData(
            task_id=task.id,
            service="sync",
            kind=task.kind,
            redrive_no=redrive_no,
            attempt=attempt,
            max_attempts=4,
            **facts | data,
        )
        return lifecycle_event(type_, self.clock.now, about)

    async def came(self, *messages: DeadMessage) -> list[bool]:
        return [await self.records.write(take_in, letter_of(message, gate=self.gate)) for message in messages]

    async def letters(self, **wanted: Any) -> list[dict[str, Any]]:
        query = partial(list_letters, wanted=LetterFilter(**wanted), limit=500, cursor=None)
        return (await self.records.read(query)).letters

    async def letter(self, letter_id: int) -> dict[str, Any]:
        found = await self.records.read(
            partial(letter_detail, letter_id=letter_id, registry=self.gate.registry)
        )
        assert found is not None
        return found

    async def groups(self, **wanted: Any) -> list[Group]:
        query = partial(list_groups, wanted=GroupFilter(**wanted), now=self.clock.now, limit=100, cursor=None)
        return (await self.records.read(query)).groups

    async def task(self, task_id: str) -> Task:
        task = await self.records.read(partial(get_task, task_id=task_id))
        assert task is not None
        return task

    async def planned(
        self, *, edits: Sequence[Edit] = (), rate: float = 1000, canary: int = 0, **wanted: Any
    ) -> Redrive:
        new = NewRedrive(
            LetterFilter(**wanted), edits, rate, canary, "why", "ann", self.clock.now, {}, gate=self.gate
        )
        return await self.redrive(await make_redrive(self.records, new))

    async def redrive(self, redrive_id: int) -> Redrive:
        found = await self.records.read(partial(get_redrive, redrive_id=redrive_id))
        assert found is not None
        return found

    async def items(self, redrive_id: int, **wanted: Any) -> list[dict[str, Any]]:
        query = partial(
            list_items, redrive_id=redrive_id, wanted=ItemFilter(**wanted), limit=500, cursor=None
        )
        return (await self.records.read(query)).items

    async def start(self, plan: Redrive, actor: str = "ann", hash_: str | None = None) -> Refused | None:
        return await self.records.write(start, Start(plan.id, hash_ or plan.hash, actor, self.clock.now))

    async def steer(self, plan: Redrive, action: str) -> Refused | None:
        return await self.records.write(steer, Steer(plan.id, action, "bob", self.clock.now, "because"))

    async def sent(self, plan: Redrive) -> list[PendingMessage]:
        """All that may be sent now, whatever the rate."""
        messages: list[PendingMessage] = []
        while True:
            self.clock.tick(60)
            turn = Turn(plan.id, self.clock.now, gate=self.gate)
            if not await self.records.read(partial(may_send, turn=turn)):
                return messages
            messages += (await self.records.write(send, turn)).messages

    async def settled(self, plan: Redrive) -> Settled:
        return await self.records.write(settle, Settlement(plan.id, self.clock.now, KEEP))

    async def completed(self, messages: Sequence[PendingMessage]) -> None:
        """What was sent turns out well."""
        await self.apply(*(self._outcome(message, LifecycleType.COMPLETED) for message in messages))

    async def failed_again(
        self,
        messages: Sequence[PendingMessage],
        error: ErrorInfo = ERROR,
        *,
        reason: DeadReason = DeadReason.EXHAUSTED,
        **message_: Any,
    ) -> None:
        """What was sent dies again, and its letters come in."""
        await self.apply(
            *(self._outcome(m, LifecycleType.DEAD, error=error, reason=reason) for m in messages)
        )
        for message in messages:
            await self.came(
                dead_message(
                    sync_event(),
                    message.envelope.task_id,
                    error=error,
                    died_at=self.clock.now,
                    body=message.body,
                    redrive_no=message.envelope.redrive_no,
                    edit_no=message.envelope.edit_no,
                    reason=reason,
                    **message_,
                )
            )

    def _outcome(self, message: PendingMessage, type_: LifecycleType, **data: Any) -> LifecycleEvent:
        facts = {"result": {"done": True}} if type_ is LifecycleType.COMPLETED else {}
        about = LifecycleData(
            task_id=message.envelope.task_id,
            service="sync",
            kind=message.envelope.kind,
            redrive_no=message.envelope.redrive_no,
            attempt=4,
            max_attempts=4,
            **facts | data,
        )
        return lifecycle_event(type_, self.clock.now, about)


@pytest.fixture
async def desk(ledger_url: str) -> AsyncIterator[Desk]:
    desk = Desk(ledger_url)
    yield desk
    await desk.records.close()


def rows_of(token: ResetToken | None, task: NewTask) -> tuple[CompanionRow, ...]:
    """The rows that a task's submission has with it."""
    return () if token is None else (token.row(task),)
