"""Schedules: what is to be posted again and again, kept in the ledger."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from sqlalchemy import Connection, Row, delete, func, or_, select, update

from waybill_database import insert_new
from waybill_ledger.acceptance.idempotency import IdempotentCall, KeyedCall, KeyReusedError, Repeated, reserve
from waybill_ledger.listings.cursors import decoded, encoded
from waybill_ledger.listings.id_prefix import begins_with
from waybill_ledger.schedules.recurrence import Recurrence
from waybill_ledger.schema.tables import IDEMPOTENCY, SCHEDULES
from waybill_ledger.schema.tenants import DEFAULT_TENANT, owned_by, qualified, unqualified


class Missed(StrEnum):
    """What becomes of slots that passed while nobody could release them."""

    SKIP = "skip"
    RUN_ONCE = "run_once"
    RUN_ALL = "run_all"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a schedule posts, and when; all of it may be changed but the name and the kind."""

    name: str
    kind: str
    #: As it is posted to the kind's own route, its sensitive fields sealed for the schedule's id.
    body: dict[str, Any]
    #: Whom or what its tasks concern, for people who read the list.
    about: str
    #: A keyed digest of the person whom they concern.
    person: str | None
    cron: str | None
    every_seconds: int | None
    timezone: str
    starts_at: datetime | None
    ends_at: datetime | None
    missed: Missed
    #: The most slots that `run_all` makes up for.
    missed_limit: int
    priority: int | None
    paused: bool

    def recurrence(self, created_at: datetime) -> Recurrence:
        """When it is due; intervals without a start are counted from when it was made."""
        every = None if self.every_seconds is None else timedelta(seconds=self.every_seconds)
        anchor = self.starts_at or created_at
        return Recurrence(self.cron, every, anchor, self.timezone, self.starts_at, self.ends_at)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as the ledger knows it."""

    id: str
    tenant: str
    plan: Plan
    created_at: datetime
    updated_at: datetime
    #: Rises with every change of the plan.
    version: int
    #: The slot that is released next; None while it is paused, and when it is over.
    next_at: datetime | None
    last_slot_at: datetime | None
    #: Why it was paused by us.
    error: str | None

    @property
    def recurrence(self) -> Recurrence:
        """When it is due."""
        return self.plan.recurrence(self.created_at)

    @property
    def is_never_due(self) -> bool:
        """Whether no slot of it lies ahead, though it is not paused."""
        return self.next_at is None and not self.plan.paused

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """The schedule of a row."""
        columns = row._asdict()
        own = {name: columns.pop(name) for name in _OWN}
        columns["name"] = unqualified(columns["name"])
        plan = columns | {"body": json.loads(columns["body"]), "missed": Missed(columns["missed"])}
        return cls(plan=Plan(**plan), **own)


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """A wish to make a schedule."""

    id: str
    plan: Plan
    now: datetime
    #: How many schedules its tenant may have.
    most: int
    call: IdempotentCall | None = None
    tenant: str = DEFAULT_TENANT

    @property
    def schedule(self) -> Schedule:
        """What it comes to."""
        next_at = None if self.plan.paused else self.plan.recurrence(self.now).first(self.now)
        return Schedule(self.id, self.tenant, self.plan, self.now, self.now, 1, next_at, None, None)


@dataclass(frozen=True, slots=True)
class Created:
    """It is made."""

    schedule: Schedule


@dataclass(frozen=True, slots=True)
class CreatedBefore:
    """The same call made one before: as it is now; None if it was deleted since."""

    schedule: Schedule | None


class NeverDueError(Exception):
    """No slot of it lies ahead."""


class NameTakenError(Exception):
    """There is another of this name."""


class TooManySchedulesError(Exception):
    """There are as many as there may be."""


Denial = NameTakenError | NeverDueError | TooManySchedulesError
Creation = Created | CreatedBefore | KeyReusedError | Denial


@dataclass(frozen=True, slots=True)
class Change:
    """A wish to give a schedule another plan, if nobody has changed it since it was read."""

    id: str
    version: int
    plan: Plan
    now: datetime

    def applied_to(self, before: Schedule) -> Schedule:
        """What it comes to."""
        after = replace(
            before, plan=self.plan, version=self.version + 1, updated_at=self.now, next_at=None, error=None
        )
        if self.plan.paused:
            return after
        if before.next_at is not None and after.recurrence == before.recurrence:
            return replace(after, next_at=before.next_at)
        # Never back before what was released; and what it missed while it was paused is not made up for.
        since = max(self.now, before.last_slot_at or self.now)
        return replace(after, next_at=after.recurrence.first(since))


class ChangedMeanwhileError(Exception):
    """It is no more what it was when it was read."""


@dataclass(frozen=True, slots=True)
class SchedulePage:
    """Some schedules, newest first, and the cursor of the next page if there is one."""

    schedules: list[Schedule]
    next_cursor: str | None


def create_schedules(connection: Connection, wishes: Sequence[NewSchedule]) -> Sequence[Creation]:
    """Makes schedules; a batch write for `Records.write`. A complaint concerns one wish, and is returned."""
    return [_create(connection, wish) for wish in wishes]


def change_schedules(
    connection: Connection, changes: Sequence[Change]
) -> Sequence[Schedule | ChangedMeanwhileError | NeverDueError]:
    """Gives schedules another plan; a batch write for `Records.write`."""
    return [_change(connection, change) for change in changes]


def delete_schedules(connection: Connection, ids: Sequence[str]) -> Sequence[bool]:
    """Deletes schedules; a batch write for `Records.write`. Their tasks stay. False: there was none."""
    return [
        connection.execute(delete(SCHEDULES).where(SCHEDULES.c.id == schedule_id)).rowcount > 0
        for schedule_id in ids
    ]


def get_schedule(connection: Connection, schedule_id: str, *, tenant: str | None = None) -> Schedule | None:
    """The schedule, or None; with a tenant, only if it is its."""
    query = select(SCHEDULES).where(SCHEDULES.c.id == schedule_id, *owned_by(tenant, SCHEDULES.c.tenant))
    row = connection.execute(query).one_or_none()
    return None if row is None else Schedule.of(row)


def list_schedules(
    connection: Connection,
    *,
    name: str | None,
    limit: int,
    cursor: str | None,
    tenant: str | None = None,
    beginning: str | None = None,
) -> SchedulePage:
    """A page of schedules, newest first.

    Args:
        connection: to the ledger.
        name: of the one that is wanted; None: all.
        limit: schedules on a page.
        cursor: of the page.
        tenant: whose they are; None: everybody's.
        beginning: of their ids.

    Raises:
        BadCursorError: `cursor` is none of ours.
    """
    query = select(SCHEDULES).where(*owned_by(tenant, SCHEDULES.c.tenant)).order_by(SCHEDULES.c.id.desc())
    query = query.limit(limit + 1)
    if beginning is not None:
        query = query.where(begins_with(SCHEDULES.c.id, beginning))
    if name is not None and tenant is not None:
        query = query.where(SCHEDULES.c.name == qualified(tenant, name))
    elif name is not None:
        of_others = SCHEDULES.c.name == SCHEDULES.c.tenant.concat(qualified("", name))
        query = query.where(or_(SCHEDULES.c.name == name, of_others))
    if cursor is not None:
        query = query.where(SCHEDULES.c.id < decoded(cursor))
    found = [Schedule.of(row) for row in connection.execute(query)]
    page = found[:limit]
    return SchedulePage(page, encoded(page[-1].id) if len(found) > limit else None)


def _create(connection: Connection, wish: NewSchedule) -> Creation:
    if wish.call is not None:
        (before,) = reserve(connection, [KeyedCall(wish.call, wish.id, wish.now)])
        if isinstance(before, Repeated):
            return CreatedBefore(get_schedule(connection, before.reference))
        if before is not None:
            return before
    refusal = _insert(connection, wish)
    if refusal is None:
        return Created(_found(connection, wish.id))
    if wish.call is not None:
        # What was refused may be tried again with the same key.
        connection.execute(delete(IDEMPOTENCY).where(IDEMPOTENCY.c.reference == wish.id))
    return refusal


def _insert(connection: Connection, wish: NewSchedule) -> Denial | None:
    of_tenant = select(func.count()).where(SCHEDULES.c.tenant == wish.tenant)
    if (connection.scalar(of_tenant) or 0) >= wish.most:
        return TooManySchedulesError(wish.most)
    if wish.schedule.is_never_due:
        return NeverDueError(wish.plan.name)
    inserted = connection.scalars(
        insert_new(connection, SCHEDULES, SCHEDULES.c.id), [_columns(wish.schedule)]
    ).all()
    return None if inserted else NameTakenError(wish.plan.name)


def _change(connection: Connection, change: Change) -> Schedule | ChangedMeanwhileError | NeverDueError:
    row = connection.execute(
        select(SCHEDULES).where(SCHEDULES.c.id == change.id).with_for_update()
    ).one_or_none()
    if row is None or row.version != change.version:
        return ChangedMeanwhileError(change.id)
    after = change.applied_to(Schedule.of(row))
    if after.is_never_due:
        return NeverDueError(change.plan.name)
    connection.execute(update(SCHEDULES).where(SCHEDULES.c.id == change.id).values(_columns(after)))
    return _found(connection, change.id)


def _found(connection: Connection, schedule_id: str) -> Schedule:
    return Schedule.of(connection.execute(select(SCHEDULES).where(SCHEDULES.c.id == schedule_id)).one())


def _columns(schedule: Schedule) -> dict[str, Any]:
    own = {name: getattr(schedule, name) for name in _OWN}
    changed = {
        "name": qualified(schedule.tenant, schedule.plan.name),
        "body": json.dumps(schedule.plan.body).encode(),
    }
    return own | asdict(schedule.plan) | changed


_OWN = ("id", "tenant", "created_at", "updated_at", "version", "next_at", "last_slot_at", "error")
