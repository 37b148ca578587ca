"""Reveals: sealed data is opened for a caller with a reason, and the audit trail records it.

The entry is written in the transaction that reads the data: there is no reveal without one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from waybill_contracts.privacy import Keyring, UnknownKeyError
from waybill_contracts.registry import Registry
from waybill_contracts.wire import service_of
from waybill_ledger.access.opened_payload import Revealed, revealed
from waybill_ledger.audit import AuditEntry, record
from waybill_ledger.schema import (
    DEAD_LETTER_MESSAGES,
    DEAD_LETTERS,
    REDRIVE_LETTERS,
    REDRIVEN_PAYLOADS,
    SCHEDULES,
    TASKS,
    owned_by,
)

#: Action in the audit trail.
REVEAL: Final = "reveal"


@dataclass(frozen=True, slots=True)
class Body:
    """A payload as stored."""

    kind: str | None
    dataschema: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Held:
    """Stored data of the thing that is to be revealed."""

    tenant: str | None
    #: Id of the task or schedule that the fields are sealed for; None: unknown.
    owner: str | None
    #: Payloads by name; empty: no longer kept.
    bodies: Mapping[str, Body]
    erased_at: datetime | None = None
    #: Of a dead letter: the service whose queue it was in, and its group.
    service: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class OfTask:
    """Payload of a task, as `payload`; and one that a redrive edited, under the name of the service."""

    id: str

    def find(self, connection: Connection, tenant: str | None) -> Held | None:
        """Payloads of the task."""
        columns = (TASKS.c.tenant, TASKS.c.kind, TASKS.c.dataschema, TASKS.c.payload, TASKS.c.erased_at)
        query = select(*columns).where(TASKS.c.id == self.id, *owned_by(tenant, TASKS.c.tenant))
        task = connection.execute(query).one_or_none()
        if task is None:
            return None
        if task.payload is None:
            return Held(task.tenant, self.id, {}, task.erased_at)
        edited = connection.execute(select(REDRIVEN_PAYLOADS).where(REDRIVEN_PAYLOADS.c.task_id == self.id))
        bodies = {service_of(row.queue): Body(task.kind, row.dataschema, row.payload) for row in edited}
        own = Body(task.kind, task.dataschema, task.payload)
        return Held(task.tenant, self.id, bodies | {"payload": own}, task.erased_at)

    def named(self) -> dict[str, Any]:
        """Id for the audit entry."""
        return {"task": self.id}


@dataclass(frozen=True, slots=True)
class OfSchedule:
    """Body of a schedule, as `payload`."""

    id: str

    def find(self, connection: Connection, tenant: str | None) -> Held | None:
        """Body of the schedule."""
        query = select(SCHEDULES.c.tenant, SCHEDULES.c.kind, SCHEDULES.c.body)
        query = query.where(SCHEDULES.c.id == self.id, *owned_by(tenant, SCHEDULES.c.tenant))
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return Held(row.tenant, self.id, {"payload": Body(row.kind, None, row.body)})

    def named(self) -> dict[str, Any]:
        """Id for the audit entry."""
        return {"schedule": self.id}


@dataclass(frozen=True, slots=True)
class OfLetter:
    """Body of a dead letter, as `payload`; with a redrive also the edited one of its plan, as `edited`."""

    id: int
    redrive_id: int | None = None

    def find(self, connection: Connection, tenant: str | None) -> Held | None:
        """Body of the letter, and the edited one of the plan."""
        letters = DEAD_LETTERS.c
        query = (
            select(
                letters.tenant,
                letters.task_id,
                letters.service,
                letters.kind,
                letters.dataschema,
                letters.fingerprint,
                DEAD_LETTER_MESSAGES.c.body,
                TASKS.c.erased_at,
            )
            .join(DEAD_LETTER_MESSAGES, DEAD_LETTER_MESSAGES.c.letter_id == letters.id)
            .outerjoin(TASKS, TASKS.c.id == letters.task_id)
            .where(letters.id == self.id, *owned_by(tenant, letters.tenant))
        )
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        bodies = {} if row.body is None else {"payload": Body(row.kind, row.dataschema, row.body)}
        if bodies and self.redrive_id is not None:
            plan = REDRIVE_LETTERS.c
            edited = connection.execute(
                select(plan.edited, plan.edited_dataschema).where(
                    plan.redrive_id == self.redrive_id, plan.letter_id == self.id
                )
            ).one_or_none()
            if edited is None:
                return None
            if edited.edited is not None:
                bodies["edited"] = Body(row.kind, edited.edited_dataschema or row.dataschema, edited.edited)
        return Held(row.tenant, row.task_id, bodies, row.erased_at, row.service, row.fingerprint)

    def named(self) -> dict[str, Any]:
        """Number for the audit entry."""
        return {"letter": self.id}


Thing = OfTask | OfSchedule | OfLetter


@dataclass(frozen=True, slots=True)
class Reveal:
    """Request to see sealed data."""

    thing: Thing
    #: Tenant that must own it; None: any.
    tenant: str | None
    reason: str
    actor: str
    #: Id of the key of the caller; None: keys are not required.
    key: str | None
    at: datetime
    keyring: Keyring
    registry: Registry


@dataclass(frozen=True, slots=True)
class Opened:
    """The data, opened."""

    held: Held
    payloads: Mapping[str, Revealed]


@dataclass(frozen=True, slots=True)
class NotKept:
    """The thing exists, but its data is no longer kept."""

    #: When it was erased; None: it held a secret, and was deleted after its use.
    erased_at: datetime | None


Answer = Opened | NotKept | UnknownKeyError | None


def reveal(connection: Connection, requests: Sequence[Reveal]) -> Sequence[Answer]:
    """Opens sealed data and records it in the audit trail; a batch write for `Records.write`.

    None: no such thing. An error concerns one request, and is returned; it leaves no entry.
    """
    return [_reveal(connection, request) for request in requests]


def _reveal(connection: Connection, request: Reveal) -> Answer:
    held = request.thing.find(connection, request.tenant)
    if held is None:
        return None
    if not held.bodies or held.erased_at is not None:
        return NotKept(held.erased_at)
    try:
        payloads = {
            name: revealed(
                each.kind,
                request.registry.find(each.kind),
                each.dataschema,
                each.body,
                request.keyring,
                held.owner or "",
            )
            for name, each in held.bodies.items()
        }
    except UnknownKeyError as unknown:
        return unknown
    record(connection, [_audit_entry(request, held, payloads)])
    return Opened(held, payloads)


def _audit_entry(request: Reveal, held: Held, payloads: Mapping[str, Revealed]) -> AuditEntry:
    hidden = {f"{name}: {why}" for each in payloads.values() for name, why in each.hidden.items()}
    details = request.thing.named() | ({"key": request.key} if request.key else {})
    letter = request.thing if isinstance(request.thing, OfLetter) else None
    return AuditEntry(
        request.at,
        request.actor,
        REVEAL,
        redrive_id=letter.redrive_id if letter else None,
        group=held.group,
        letters=1 if letter else None,
        reason=request.reason,
        details=details | ({"hidden": sorted(hidden)} if hidden else {}),
        tenant=held.tenant,
        subject=held.owner,
    )
