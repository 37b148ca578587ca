"""A ledger with something of everything: tasks in each state, retries, letters, tenants, hostile texts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from waybill_contracts.events import Event
from waybill_contracts.kinds import SyncRequested
from waybill_contracts.wire import (
    DeadReason,
    ErrorInfo,
    LifecycleData,
    LifecycleEvent,
    LifecycleType,
    ProgressInfo,
    lifecycle_event,
)
from waybill_database import Records
from waybill_ledger import (
    Measurement,
    Missed,
    NewKey,
    NewSchedule,
    NewTask,
    Plan,
    QueueMeasured,
    Range,
    Scope,
    Secret,
    StallTimeouts,
    Submission,
    accept,
    apply_events,
    create_keys,
    create_schedules,
    delete_published,
    measure,
    new_task_id,
    store_measurements,
)
from waybill_ledger.deadletters.groups.queries import GroupFilter, list_groups
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import letter_of
from waybill_ledger.deadletters.letters.queries import LetterFilter
from waybill_ledger.deadletters.redrives.plan import NewRedrive, make_redrive
from waybill_testkit.samples import (
    dead_message,
    email_event,
    event_in,
    gate_of,
    new_task,
    sync_event,
    user_event,
)

#: Markup, a script, a text that runs from right to left, one without an end.
HOSTILE: Final = (
    "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script> \u202egnp.exe 'x' {{ 7*7 }}"
)
AWAY: Final = ErrorInfo(type="TransientError", message="crm answered 503 to contact 7")
WRONG: Final = ErrorInfo(type="PermanentError", message="the city is missing")
#: Who may do what, by name.
SCOPES: Final = {
    "reader": (Scope.READ,),
    "operator": (Scope.READ, Scope.SUBMIT, Scope.OPERATE, Scope.REVEAL),
    "administrator": (Scope.ADMIN,),
    "submitter": (Scope.SUBMIT,),
    "stranger": (Scope.READ, Scope.OPERATE),
    "ended": (Scope.READ,),
}


@dataclass
class Seeded:
    """What is in the ledger."""

    url: str
    #: Tokens by the names of `SCOPES`.
    tokens: dict[str, str] = field(default_factory=dict)
    #: Ids by what they show: of tasks, and of a `group` of failures and a planned `redrive`.
    ids: dict[str, str] = field(default_factory=dict)


async def seed(url: str, *, more: int = 0) -> Seeded:
    """Fills an empty ledger.

    Args:
        url: of the ledger.
        more: tasks beside those that show something.
    """
    seeded = Seeded(url)
    records = Records(seeded.url)
    try:
        await _Filling(records, seeded).fill(more)
    finally:
        await records.close()
    return seeded


class _Filling:
    def __init__(self, records: Records, seeded: Seeded) -> None:
        self._records, self._seeded = records, seeded
        self._now = datetime.now(UTC)

    async def fill(self, more: int) -> None:
        for name, scopes in SCOPES.items():
            await self._key(name, scopes)
        for number in range(more):
            done = await self._task(
                email_event(), minutes_ago=3600 - number, about=f"order {number} confirmed"
            )
            await self._completed(done, "email")
        await self._tasks()
        await self._letters()
        await self._plan()
        await self._schedule()
        await self._measured()

    async def _tasks(self) -> None:
        done = await self._task(
            email_event(), minutes_ago=62, about="a***@example.test: Your order 1017", name="done"
        )
        await self._completed(done, "email")
        retried = await self._task(sync_event("8"), minutes_ago=40, about="crm contacts 8", name="retried")
        at = self._now - timedelta(minutes=39)
        for attempt, wait in ((1, 4), (2, 30)):
            await self._told(retried, "sync", LifecycleType.STARTED, at, attempt=attempt)
            at += timedelta(seconds=2.4)
            due = at + timedelta(seconds=wait)
            await self._told(
                retried,
                "sync",
                LifecycleType.RETRYING,
                at,
                attempt=attempt,
                seconds=2.4,
                error=AWAY,
                next_attempt_at=due,
            )
            at = due
        await self._told(retried, "sync", LifecycleType.STARTED, at, attempt=3)
        await self._told(
            retried,
            "sync",
            LifecycleType.COMPLETED,
            at + timedelta(seconds=0.6),
            attempt=3,
            seconds=0.6,
            result={"status": 200},
        )
        waits = await self._task(sync_event("9"), minutes_ago=6, about="crm contacts 9", name="retrying")
        at = self._now - timedelta(minutes=5)
        await self._told(waits, "sync", LifecycleType.STARTED, at)
        await self._told(
            waits,
            "sync",
            LifecycleType.RETRYING,
            at + timedelta(seconds=3),
            seconds=3.0,
            error=AWAY,
            next_attempt_at=self._now + timedelta(minutes=12),
        )
        runs = await self._task(user_event(), minutes_ago=1, about="user u1", name="running")
        await self._completed(runs, "email")
        at = self._now - timedelta(seconds=30)
        await self._told(runs, "sync", LifecycleType.STARTED, at)
        await self._told(
            runs, "sync", LifecycleType.PROGRESS, at, progress=ProgressInfo(share=0.4, text="page 4 of 10")
        )
        await self._task(email_event(), minutes_ago=3, about="b***@example.test: Welcome", name="pending")
        due = self._now + timedelta(hours=5)
        await self._task(
            email_event(), minutes_ago=2, about="c***@example.test: Reminder", name="scheduled", due_at=due
        )
        await self._task(email_event(), minutes_ago=2, about="d***@example.test: soon", name="renewed")
        large = SyncRequested(target="crm", resource="contacts", id="l1", data={"text": "x" * 1_000_000})
        await self._task(large, minutes_ago=4000, about="crm contacts l1", name="large")
        await self._task(
            email_event(), minutes_ago=0, about="of another tenant", name="foreign", tenant="acme"
        )

    async def _letters(self) -> None:
        for number in range(7):
            await self._dead(sync_event(str(number)), 90 - number, f"crm contacts {number}", AWAY)
        for number in range(2):
            await self._dead(
                sync_event(f"w{number}"),
                30 - number,
                f"crm contacts w{number}",
                WRONG,
                reason=DeadReason.PERMANENT,
            )
        hostile = ErrorInfo(type="TransientError", message=HOSTILE)
        event = SyncRequested(target="crm", resource="contacts", id="h1", data={HOSTILE: HOSTILE})
        await self._dead(event, 12, HOSTILE[:200], hostile, name="hostile")

    async def _measured(self) -> None:
        """As the status service would: nobody consumes the queue of the images."""
        patience = StallTimeouts(*[timedelta(days=9)] * 3)
        measures = await self._records.read(partial(measure, wanted=Range(self._now, patience)))
        queues = {
            f"{service}.{name}": QueueMeasured(messages, consumers)
            for service, consumers in (("email", 2), ("images", 0), ("sync", 1))
            for name, messages in (("work", 4 - consumers), ("dlq", 0))
        }
        measurement = Measurement(
            at=self._now,
            has_tenants=measures.has_tenants,
            work=measures.work,
            gaps=measures.gaps,
            queues=queues,
        )
        await self._records.write(store_measurements, measurement)

    async def _plan(self) -> None:
        query = partial(list_groups, wanted=GroupFilter(q="503"), now=self._now, limit=1, cursor=None)
        [group] = (await self._records.read(query)).groups
        self._seeded.ids["group"] = group.id
        new = NewRedrive(
            LetterFilter(group=group.id, tenant="default"),
            (),
            10.0,
            2,
            "crm is back",
            "ann",
            self._now,
            {},
            gate=gate_of(),
        )
        self._seeded.ids["redrive"] = str(await make_redrive(self._records, new))

    async def _schedule(self) -> None:
        plan = Plan(
            name="weekly-report",
            kind="sync.requested",
            body={"target": "crm", "resource": "reports", "id": HOSTILE, "data": {}},
            about=HOSTILE,
            person=None,
            cron="30 8 * * MON",
            every_seconds=None,
            timezone="Europe/Berlin",
            starts_at=None,
            ends_at=None,
            missed=Missed.RUN_ONCE,
            missed_limit=10,
            priority=None,
            paused=False,
        )
        self._seeded.ids["schedule"] = new_task_id()
        new = NewSchedule(self._seeded.ids["schedule"], plan, self._now, 10)
        await self._records.write(create_schedules, new)

    async def _dead(
        self,
        event: Event,
        minutes_ago: float,
        about: str,
        error: ErrorInfo,
        *,
        name: str | None = None,
        reason: DeadReason = DeadReason.EXHAUSTED,
    ) -> None:
        task = await self._task(event, minutes_ago=minutes_ago, about=about, name=name or f"dead {about}")
        at = self._now - timedelta(minutes=minutes_ago) + timedelta(seconds=1)
        await self._told(task, "sync", LifecycleType.STARTED, at, attempt=4)
        died = at + timedelta(seconds=1.5)
        await self._told(
            task, "sync", LifecycleType.DEAD, died, attempt=4, seconds=1.5, error=error, reason=reason
        )
        message = dead_message(event_in(task), task.id, error=error, reason=reason, died_at=died)
        await self._records.write(take_in, letter_of(message, gate=gate_of()))

    async def _task(
        self, event: Event, *, minutes_ago: float, about: str, name: str | None = None, **fields: Any
    ) -> NewTask:
        at = self._now - timedelta(minutes=minutes_ago)
        task = new_task(event, created_at=at, about=about, **fields)
        accepted = await self._records.write(accept, Submission(task))
        if task.due_at is None and name != "pending":
            await self._records.write(delete_published, [accepted.message.outbox_id])  # type: ignore[union-attr]
        if name is not None:
            self._seeded.ids[name] = task.id
        return task

    async def _completed(self, task: NewTask, service: str) -> None:
        at = task.created_at + timedelta(seconds=0.08)
        await self._told(task, service, LifecycleType.STARTED, at)
        await self._told(
            task,
            service,
            LifecycleType.COMPLETED,
            at + timedelta(seconds=0.21),
            seconds=0.21,
            result={"message_id": "<1@example.test>"},
        )

    async def _told(
        self,
        task: NewTask,
        service: str,
        type_: LifecycleType,
        at: datetime,
        *,
        attempt: int = 1,
        **facts: Any,
    ) -> None:
        data = LifecycleData(
            task_id=task.id,
            service=service,
            kind=task.kind,
            redrive_no=0,
            attempt=attempt,
            max_attempts=4,
            **facts,
        )
        await self._records.write(_apply, lifecycle_event(type_, at, data))

    async def _key(self, name: str, scopes: Sequence[Scope]) -> None:
        secret = Secret.new()
        new = NewKey(
            secret=secret,
            tenant="acme" if name == "stranger" else "default",
            name=name,
            scopes=frozenset(scopes),
            at=self._now,
            actor="test",
            expires_at=None,
            rate=1000.0,
            burst=1000,
            max_body_bytes=None,
        )
        await self._records.write(create_keys, new)
        self._seeded.tokens[name] = secret.token


def _apply(connection: Connection, events: Sequence[LifecycleEvent]) -> Sequence[None]:
    apply_events(connection, events)
    return [None] * len(events)
