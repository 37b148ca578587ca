"""Schedules: recurring tasks, stored in the ledger."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from sqlalchemy import Connection, Row, delete, func, or_, select, update

from waybill_database import insert_new
from waybill_ledger.acceptance import IdempotentCall, KeyedCall, KeyReusedError, Repeated, reserve
from waybill_ledger.listings import begins_with, decoded_id, encoded_id
from waybill_ledger.schedules.recurrence import Recurrence
from waybill_ledger.schema import DEFAULT_TENANT, IDEMPOTENCY, SCHEDULES, owned_by, qualified, unqualified


class Missed(StrEnum):
    """What happens to slots that passed while no process released them."""

    SKIP = "skip"
    RUN_ONCE = "run_once"
    RUN_ALL = "run_all"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a schedule posts, and when; all but name and kind may be changed."""

    name: str
    kind: str
    #: As posted to the route of the kind, with sensitive fields sealed for the id of the schedule.
    body: dict[str, Any]
    #: Subject of its tasks, for people who read listings.
    about: str
    #: Keyed digest of the person whom they concern.
    person: str | None
    cron: str | None
    every_seconds: int | None
    timezone: str
    starts_at: datetime | None
    ends_at: datetime | None
    missed: Missed
    #: Most missed slots that `run_all` releases.
    missed_limit: int
    priority: int | None
    paused: bool

    def recurrence(self, created_at: datetime) -> Recurrence:
        """When it is due; intervals without a start count from its creation."""
        every = None if self.every_seconds is None else timedelta(seconds=self.every_seconds)
        anchor = self.starts_at or created_at
        return Recurrence(self.cron, every, anchor, self.timezone, self.starts_at, self.ends_at)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule, as read from the ledger."""

    id: str
    tenant: str
    plan: Plan
    created_at: datetime
    updated_at: datetime
    #: Rises with every change of the plan.
    version: int
    #: Next slot; None while it is paused, and after the last one.
    next_at: datetime | None
    last_slot_at: datetime | None
    #: Why the releaser paused it.
    error: str | None

    @property
    def recurrence(self) -> Recurrence:
        """When it is due."""
        return self.plan.recurrence(self.created_at)

    @property
    def is_never_due(self) -> bool:
        """Whether it has no slot ahead although it is not paused."""
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
    """Request to create a schedule."""

    id: str
    plan: Plan
    now: datetime
    #: Most schedules of the tenant.
    most: int
    call: IdempotentCall | None = None
    tenant: str = DEFAULT_TENANT

    @property
    def schedule(self) -> Schedule:
        """The resulting schedule."""
        next_at = None if self.plan.paused else self.plan.recurrence(self.now).first(self.now)
        return Schedule(self.id, self.tenant, self.plan, self.now, self.now, 1, next_at, None, None)


@dataclass(frozen=True, slots=True)
class Created:
    """The schedule is created."""

    schedule: Schedule


@dataclass(frozen=True, slots=True)
class CreatedBefore:
    """The call created a schedule before: its present state; None if it was deleted."""

    schedule: Schedule | None


class NeverDueError(Exception):
    """The schedule has no slot ahead."""


class NameTakenError(Exception):
    """Another schedule has the name."""


class TooManySchedulesError(Exception):
    """The tenant has as many schedules as allowed."""


Denial = NameTakenError | NeverDueError | TooManySchedulesError
Creation = Created | CreatedBefore | KeyReusedError | Denial


@dataclass(frozen=True, slots=True)
class Change:
    """Request to replace the plan of a schedule, if it was not changed since it was read."""

    id: str
    version: int
    plan: Plan
    now: datetime

    def applied_to(self, before: Schedule) -> Schedule:
        """The resulting schedule."""
        after = replace(
            before, plan=self.plan, version=self.version + 1, updated_at=self.now, next_at=None, error=None
        )
        if self.plan.paused:
            return after
        if before.next_at is not None and after.recurrence == before.recurrence:
            return replace(after, next_at=before.next_at)
        # Never earlier than the last released slot; slots missed during a pause are not released.
        since = max(self.now, before.last_slot_at or self.now)
        return replace(after, next_at=after.recurrence.first(since))


class ChangedMeanwhileError(Exception):
    """The schedule was changed since it was read."""


@dataclass(frozen=True, slots=True)
class SchedulePage:
    """Schedules, newest first; the cursor of the next page, or None."""

    schedules: list[Schedule]
    next_cursor: str | None


def create_schedules(connection: Connection, requests: Sequence[NewSchedule]) -> Sequence[Creation]:
    """Creates schedules; a batch write for `Records.write`. Errors are returned, one for each request."""
    return [_create(connection, request) for request in requests]


def change_schedules(
    connection: Connection, changes: Sequence[Change]
) -> Sequence[Schedule | ChangedMeanwhileError | NeverDueError]:
    """Replaces plans of schedules; a batch write for `Records.write`."""
    return [_change(connection, change) for change in changes]


def delete_schedules(connection: Connection, ids: Sequence[str]) -> Sequence[bool]:
    """Deletes schedules; a batch write for `Records.write`. Their tasks stay. False: no such schedule."""
    return [
        connection.execute(delete(SCHEDULES).where(SCHEDULES.c.id == schedule_id)).rowcount > 0
        for schedule_id in ids
    ]


def get_schedule(connection: Connection, schedule_id: str, *, tenant: str | None = None) -> Schedule | None:
    """The schedule, or None; with a tenant, only if that tenant owns it."""
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
        name: of one schedule; None: all.
        limit: schedules on a page.
        cursor: of the page; None: the first.
        tenant: the owner; None: all tenants.
        beginning: prefix of the ids.

    Raises:
        BadCursorError: `cursor` was not issued by this listing.
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
        query = query.where(SCHEDULES.c.id < decoded_id(cursor))
    found = [Schedule.of(row) for row in connection.execute(query)]
    page = found[:limit]
    return SchedulePage(page, encoded_id(page[-1].id) if len(found) > limit else None)


def _create(connection: Connection, request: NewSchedule) -> Creation:
    if request.call is not None:
        (before,) = reserve(connection, [KeyedCall(request.call, request.id, request.now)])
        if isinstance(before, Repeated):
            return CreatedBefore(get_schedule(connection, before.reference))
        if before is not None:
            return before
    refusal = _insert(connection, request)
    if refusal is None:
        return Created(_found(connection, request.id))
    if request.call is not None:
        # A refused call may be repeated with the same key.
        connection.execute(delete(IDEMPOTENCY).where(IDEMPOTENCY.c.reference == request.id))
    return refusal


def _insert(connection: Connection, request: NewSchedule) -> Denial | None:
    of_tenant = select(func.count()).where(SCHEDULES.c.tenant == request.tenant)
    if (connection.scalar(of_tenant) or 0) >= request.most:
        return TooManySchedulesError(request.most)
    if request.schedule.is_never_due:
        return NeverDueError(request.plan.name)
    inserted = connection.scalars(
        insert_new(connection, SCHEDULES, SCHEDULES.c.id), [_columns(request.schedule)]
    ).all()
    return None if inserted else NameTakenError(request.plan.name)


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
