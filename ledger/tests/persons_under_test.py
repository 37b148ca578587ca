"""One of everything that the ledger holds of a person, with a word in all of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from desk_under_test import Desk, rows_of
from sqlalchemy import Connection, select

from waybill_contracts.events import Event
from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.kinds.password_resets import PasswordResetRequested
from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.kinds.users import UserCreated
from waybill_contracts.wire.lifecycle import ErrorInfo, LifecycleType
from waybill_ledger import (
    AlertPolicy,
    NewSchedule,
    NewTask,
    ResetToken,
    Submission,
    accept,
    count_failures,
    create_schedules,
    delete_published,
    new_task_id,
)
from waybill_ledger.deadletters.intake.letter import DeadMessage
from waybill_ledger.deadletters.redrives.edits import Edit
from waybill_ledger.progress.merge import Failure
from waybill_ledger.schema.tables import METADATA
from waybill_testkit.samples import (
    NOON,
    dead_message,
    event_in,
    keyed,
    new_task,
    plan,
    reported,
    uploaded,
)

POLICY = AlertPolicy(window=timedelta(minutes=1), most_at_once=1, quiet=timedelta(days=1))
STARTED, COMPLETED, DEAD = LifecycleType.STARTED, LifecycleType.COMPLETED, LifecycleType.DEAD


@dataclass(frozen=True)
class Somebody:
    """A person, and the word by which everything about this person is known again."""

    word: str
    tenant: str = "default"

    @property
    def digest(self) -> str:
        return self.word[0] * 32

    @property
    def error(self) -> ErrorInfo:
        return ErrorInfo(type="PermanentError", message=f"refused {self.word}")

    @property
    def mail(self) -> EmailRequested:
        return EmailRequested(to=f"{self.word}@example.test", subject=self.word, text=self.word)

    @property
    def user(self) -> UserCreated:
        return UserCreated(user_id=self.word, email=f"{self.word}@example.test", name=self.word)

    @property
    def reset(self) -> PasswordResetRequested:
        link = f"https://app.example.test/reset?token={self.word}"
        return PasswordResetRequested(
            email=f"{self.word}@example.test", link=link, expires_at=NOON + timedelta(hours=1)
        )

    @property
    def record(self) -> SyncRequested:
        return SyncRequested(target="crm", resource="contacts", id="7", data={"name": self.word})

    async def accepted(
        self,
        desk: Desk,
        event: Event | None = None,
        *,
        stays: bool = False,
        token: ResetToken | None = None,
        **more: Any,
    ) -> NewTask:
        """A task; unless it stays in the outbox, its message has left."""
        told_of: dict[str, Any] = {"about": self.word, "correlation_id": self.word}
        task = new_task(event or self.mail, person=self.digest, tenant=self.tenant, **told_of)
        await uploaded(desk.records, *task.files)
        answer = await desk.records.write(accept, Submission(task, rows=rows_of(token, task), **more))
        if not stays:
            await desk.records.write(delete_published, [answer.message.outbox_id])  # type: ignore[union-attr]
        return task

    async def completed(self, desk: Desk, **more: Any) -> NewTask:
        """A mail that was sent, and whose answer has the word."""
        task = await self.accepted(desk, **more)
        await desk.apply(
            reported(STARTED, task.id),
            reported(LifecycleType.PROGRESS, task.id, text=f"to {self.word}"),
            reported(COMPLETED, task.id, result={"server_response": f"250 {self.word}"}),
        )
        return task

    async def failed(self, desk: Desk) -> NewTask:
        """A user whose record was refused with the word, which the operators are told."""
        task = await self.accepted(desk, self.user)
        await desk.apply(
            reported(COMPLETED, task.id, kind=task.kind), desk.told(task, DEAD, error=self.error)
        )
        failure = Failure(
            task.id, task.kind, self.word, self.word, desk.told(task, DEAD, error=self.error).data, NOON
        )
        await desk.records.write(_counted, [failure])
        return task

    def letter(self, task: NewTask) -> DeadMessage:
        """The dead letter of a failed one, with the word wherever it can be."""
        message = dead_message(event_in(task), task.id, error=self.error)
        headers = {**message.headers, "x-traceback": f"refused {self.word}", "x-more": self.word}
        return replace(message, headers=headers, properties={"correlation_id": self.word})

    async def scheduled(self, desk: Desk) -> str:
        """A schedule; its id."""
        made = replace(plan(f"for {self.word}"), person=self.digest, about=self.word)
        wish = NewSchedule(
            new_task_id(), made, NOON, 10, keyed(f"s-{self.digest}", scope="schedules"), self.tenant
        )
        await desk.records.write(create_schedules, wish)
        return wish.id

    async def furnished(self, desk: Desk) -> dict[str, NewTask]:
        """One of everything; of the failed one a letter, an edit that was redriven, and one that was not."""
        token = ResetToken(f"hash of {self.digest}", self.word, NOON)
        tasks = {
            "completed": await self.completed(desk, call=keyed(self.digest, self.word)),
            "failed": await self.failed(desk),
            "reset": await self.accepted(desk, self.reset, token=token),
        }
        await desk.apply(reported(COMPLETED, tasks["reset"].id, kind=tasks["reset"].kind))
        await desk.came(self.letter(tasks["failed"]))
        edit = Edit([{"op": "replace", "path": "/name", "value": f"{self.word}, edited"}])
        redriven = await desk.planned(task=tasks["failed"].id, edits=[edit])
        await desk.start(redriven)
        await desk.failed_again(await desk.sent(redriven), self.error)
        await desk.settled(redriven)
        await desk.planned(task=tasks["failed"].id, edits=[edit])
        await self.scheduled(desk)
        return tasks


async def everything(desk: Desk) -> dict[str, list[str]]:
    """All rows of the ledger, as texts, by their tables."""

    def read(connection: Connection) -> dict[str, list[str]]:
        return {
            table.name: sorted(str(row._asdict()) for row in connection.execute(select(table)))
            for table in METADATA.sorted_tables
        }

    return await desk.records.read(read)


def telling(rows: dict[str, list[str]], word: str) -> dict[str, list[str]]:
    """The rows in which a word stands, by their tables, where there are any."""
    found = {name: [row for row in of_table if word in row] for name, of_table in rows.items()}
    return {name: of_table for name, of_table in found.items() if of_table}


def _counted(connection: Connection, batches: Sequence[list[Failure]]) -> list[None]:
    for failures in batches:
        count_failures(connection, failures, POLICY, NOON)
    return [None] * len(batches)
