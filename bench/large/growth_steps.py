"""The steps whose cost is measured while ledger and inbox grow; a test has the databases explain them."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, select

from waybill_contracts.privacy import NO_KEYS
from waybill_contracts.registry import built_in_registry
from waybill_contracts.states import State
from waybill_contracts.wire import LifecycleData, LifecycleType, lifecycle_event
from waybill_database import Records
from waybill_ledger import (
    Accepted,
    NewTask,
    OverdueSearch,
    PruneKeys,
    PruneStep,
    Range,
    ReleaseBatch,
    StallTimeouts,
    Submission,
    Sweep,
    TaskFilter,
    accept,
    apply_events,
    delete_published,
    get_task,
    get_timeline,
    held_routing_keys,
    is_any_overdue,
    last_measurement,
    list_tasks,
    measure,
    outlook,
    prune_keys,
    prune_tasks,
    reconcile,
    release_due,
    take_account,
    take_due,
)
from waybill_ledger.counts import CountsQuery, read_counts
from waybill_ledger.deadletters.groups import GroupFilter, list_groups
from waybill_ledger.deadletters.letters import LetterFilter, list_letters
from waybill_ledger.listings import encoded_id
from waybill_ledger.registry import ApplyManifest, apply_manifests, load_registry, work_left
from waybill_ledger.schema import TASKS
from waybill_testkit.samples import email_event, envelope_of, keyed, new_task, sync_event
from waybill_worker.inbox import Claimed, Inbox
from waybill_worker.outcome import Completed

#: Tasks in one transaction, as a gateway under load has them.
BATCH: Final = 25
PATIENCE: Final = StallTimeouts(*[timedelta(minutes=15)] * 3)
LIMIT: Final = 50


@dataclass
class Subject:
    """One ledger or inbox, and what the steps have left for each other."""

    engine: Engine
    accepted: deque[list[NewTask]] = field(default_factory=deque)
    outbox: deque[list[int]] = field(default_factory=deque)
    #: Ids of a task in the middle of the ledger and of the oldest one.
    middle: str = ""
    oldest: str = ""

    def look(self) -> None:
        """Finds out about the ledger's tasks."""
        with self.engine.begin() as connection:
            tasks = connection.scalar(select(func.count()).select_from(TASKS)) or 0
            by_age = select(TASKS.c.id).order_by(TASKS.c.id)
            self.oldest = connection.scalar(by_age.limit(1)) or ""
            self.middle = connection.scalar(by_age.offset(tasks // 2).limit(1)) or ""


#: Works in a transaction that is its own.
Step = Callable[[Connection, Subject], Any]


def accept_tasks(connection: Connection, subject: Subject) -> None:
    """Accepts a batch with idempotency keys."""
    tasks = [new_task(email_event(), created_at=datetime.now(UTC)) for _ in range(BATCH)]
    answers = accept(connection, [Submission(task, keyed(task.id)) for task in tasks])
    subject.accepted.append(tasks)
    subject.outbox.append(
        [a.message.outbox_id for a in answers if isinstance(a, Accepted) and a.message is not None]
    )


def delete_confirmed(connection: Connection, subject: Subject) -> None:
    """Deletes the outbox rows that the broker has confirmed."""
    delete_published(connection, [subject.outbox.popleft()])


def merge_outcomes(connection: Connection, subject: Subject) -> None:
    """Applies start and outcome of each task of a batch."""
    now = datetime.now(UTC)
    events = []
    for task in subject.accepted.popleft():
        facts: dict[str, Any] = {"task_id": task.id, "service": "email", "kind": task.kind, "redrive_no": 0}
        begun = LifecycleData(**facts, attempt=1, max_attempts=4)
        done = LifecycleData(**facts, attempt=1, max_attempts=4, seconds=0.01, result={"done": True})
        events.append(lifecycle_event(LifecycleType.STARTED, now, begun))
        events.append(lifecycle_event(LifecycleType.COMPLETED, now, done))
    apply_events(connection, events)


def _listing(*, deep: bool = False, **wanted: Any) -> Step:
    def step(connection: Connection, subject: Subject) -> None:
        cursor = encoded_id(subject.middle) if deep else None
        list_tasks(connection, TaskFilter(**wanted), limit=LIMIT, cursor=cursor)

    return step


def _listing_of_a_day(connection: Connection, subject: Subject) -> None:
    """An hour in the middle of the ledger."""
    task = get_task(connection, subject.middle)
    if task is None:
        raise LookupError("the task in the middle is gone")
    wanted = TaskFilter(since=task.created_at, until=task.created_at + timedelta(hours=1))
    list_tasks(connection, wanted, limit=LIMIT, cursor=None)


def _sweep(connection: Connection, _: Subject) -> None:
    outlook(connection)
    now = datetime.now(UTC)
    take_due(connection, [Sweep(now, now + timedelta(minutes=1), 100)])


def _release(connection: Connection, _: Subject) -> None:
    release_due(connection, [ReleaseBatch(datetime.now(UTC), 50, NO_KEYS, built_in_registry())])


def _reconcile(connection: Connection, _: Subject) -> None:
    look = OverdueSearch(datetime.now(UTC), PATIENCE, 100)
    is_any_overdue(connection, look)
    reconcile(connection, [look])


def _range(age: timedelta) -> Range:
    now = datetime.now(UTC)
    return Range(now, PATIENCE, since=now - age)


def _account(connection: Connection, _: Subject) -> None:
    take_account(connection, _range(timedelta(hours=10)), limit=LIMIT, cursor=None)


def _counts(connection: Connection, _: Subject) -> None:
    now = datetime.now(UTC)
    read_counts(connection, CountsQuery(now - timedelta(hours=1), now, 60))


def _prune(connection: Connection, _: Subject) -> None:
    now = datetime.now(UTC)
    # All of the ledger's tasks are younger: the check is measured.
    old = now - timedelta(days=1000)
    for state in (State.COMPLETED, State.FAILED, State.CANCELLED):
        prune_tasks(connection, [PruneStep(state, old, now, 100)])
    prune_keys(connection, [PruneKeys(old, 100)])


def _register(connection: Connection, _: Subject) -> None:
    """Tries a release of a service that no longer reads what waits, and one of a version that nothing has."""
    known = load_registry(connection).services["sync"].manifest
    for versions in ((2,), (1, 2)):
        handles = tuple(
            handled.model_copy(update={"version": max(versions), "reads": versions})
            for handled in known.handles
        )
        release = known.model_copy(update={"release": "next", "handles": handles})
        apply_manifests(connection, [ApplyManifest(release, datetime.now(UTC), "bench", is_dry_run=True)])


def _retire(connection: Connection, _: Subject) -> None:
    """Asks what services have left to do, one with work and one without."""
    registry = load_registry(connection)
    for service in ("sync", "nobody"):
        work_left(connection, registry, service, None)


def _groups(connection: Connection, _: Subject) -> None:
    list_groups(connection, GroupFilter(), now=datetime.now(UTC), limit=LIMIT, cursor=None)


def _letters(connection: Connection, _: Subject) -> None:
    list_letters(connection, LetterFilter(), limit=LIMIT, cursor=None)


#: What every task goes through; the target is theirs.
TASK_STEPS: Final[Mapping[str, Step]] = {
    "accept": accept_tasks,
    "delete published": delete_confirmed,
    "merge outcomes": merge_outcomes,
}
#: What people and background work ask for.
LOOK_STEPS: Final[Mapping[str, Step]] = {
    "one task": lambda connection, subject: get_task(connection, subject.middle),
    "timeline": lambda connection, subject: get_timeline(connection, subject.middle),
    "list: newest": _listing(),
    "list: deep page": _listing(deep=True),
    "list: by state": _listing(state=State.FAILED),
    "list: by state, deep page": _listing(state=State.COMPLETED, deep=True),
    "list: by kind": _listing(kind="image.uploaded"),
    "list: by kind and state": _listing(kind="user.created", state=State.FAILED),
    "list: by service": _listing(service="images"),
    "list: by service, deep page": _listing(service="images", deep=True),
    "list: an hour long ago": _listing_of_a_day,
    "list: by schedule": _listing(schedule="01a20000-0000-7000-8000-000000000000"),
    "sweep": _sweep,
    "release": _release,
    "reconcile": _reconcile,
    "feeder": lambda connection, _: held_routing_keys(connection),
    "prune (nothing due)": _prune,
    "measure (10 hours)": lambda connection, _: measure(connection, _range(timedelta(hours=10))),
    "account (10 hours)": _account,
    "counts of an hour": _counts,
    "last measurement": lambda connection, _: last_measurement(connection),
    "dead letters": _letters,
    "register a release": _register,
    "retire a service": _retire,
}
#: Those of them that count what is open: with a backlog they take as long as it is.
COUNTING_STEPS: Final = frozenset({"measure (10 hours)", "account (10 hours)"})
#: What reads all there is of something, and so grows with it.
WHOLE_STEPS: Final[Mapping[str, Step]] = {
    "dead-letter groups (2% of tasks)": _groups,
    "account of everything": lambda connection, _: take_account(
        connection, _range(timedelta(days=10_000)), limit=LIMIT, cursor=None
    ),
    "list: words that none has": _listing(q="no such words"),
}


class InboxUnderTest:
    """Claim and record on a service's inbox, the real one."""

    def __init__(self, url: str) -> None:
        self._records = Records(url)
        self._inbox = Inbox(self._records, "sync", lease_seconds=60)
        self._inbox.make_table()
        self._loop = asyncio.new_event_loop()

    @property
    def engine(self) -> Engine:
        """That of its records."""
        return self._records.engine

    def claim_and_record(self) -> None:
        """Both for a batch of new subtasks."""
        self._loop.run_until_complete(self._claim_and_record())

    def close(self) -> None:
        """Closes its records."""
        self._loop.run_until_complete(self._records.close())
        self._loop.close()

    async def _claim_and_record(self) -> None:
        envelopes = [envelope_of(sync_event()) for _ in range(BATCH)]
        tickets = await asyncio.gather(*map(self._inbox.claim, envelopes))
        outcome = Completed(at=datetime.now(UTC), seconds=0.01, max_attempts=4, result={"status": 200})
        await asyncio.gather(
            *(
                self._inbox.record(ticket.owner, envelope, outcome)
                for ticket, envelope in zip(tickets, envelopes, strict=True)
                if isinstance(ticket, Claimed)
            )
        )
