"""Reveals: what is sealed is opened for a person who says why, and who did so is written down.

The audit trail has it in the transaction that reads it: nobody sees what is not in the trail.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from waybill_contracts.kinds.catalog import CATALOG
from waybill_contracts.privacy.seal import Keyring, UnknownKeyError
from waybill_contracts.wire.names import service_of
from waybill_ledger.access.opened_payload import Revealed, revealed
from waybill_ledger.audit.trail import AuditEntry, record
from waybill_ledger.schema.desk_tables import DEAD_LETTER_MESSAGES, DEAD_LETTERS, REDRIVE_LETTERS
from waybill_ledger.schema.tables import REDRIVEN_PAYLOADS, SCHEDULES, TASKS
from waybill_ledger.schema.tenants import owned_by

#: What the audit trail calls it.
REVEAL: Final = "reveal"


@dataclass(frozen=True, slots=True)
class Body:
    """A payload as it is kept."""

    kind: str | None
    dataschema: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of the thing that is to be revealed."""

    tenant: str | None
    #: The id of the task or schedule that its fields are sealed for; None: no task is known.
    owner: str | None
    #: Its payloads by their names; empty: they are not kept any more.
    bodies: Mapping[str, Body]
    erased_at: datetime | None = None
    #: Of a dead letter: the service that gave it up, and its group.
    service: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class OfTask:
    """The payload of a task, as `payload`; where a redrive has edited it for a service, by its name."""

    id: str

    def find(self, connection: Connection, tenant: str | None) -> Held | None:
        """The task's payloads."""
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
        """Its id."""
        return {"task": self.id}


@dataclass(frozen=True, slots=True)
class OfSchedule:
    """What a schedule posts, as `payload`."""

    id: str

    def find(self, connection: Connection, tenant: str | None) -> Held | None:
        """The schedule's body."""
        query = select(SCHEDULES.c.tenant, SCHEDULES.c.kind, SCHEDULES.c.body)
        query = query.where(SCHEDULES.c.id == self.id, *owned_by(tenant, SCHEDULES.c.tenant))
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return Held(row.tenant, self.id, {"payload": Body(row.kind, None, row.body)})

    def named(self) -> dict[str, Any]:
        """Its id."""
        return {"schedule": self.id}


@dataclass(frozen=True, slots=True)
class OfLetter:
    """The body of a dead letter, as `payload`; with a redrive also what its plan would send, as `edited`."""

    id: int
    redrive_id: int | None = None

    def find(self, connection: Connection, tenant: str | None) -> Held | None:
        """The letter's body, and what the plan makes of it."""
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
                select(plan.edited).where(plan.redrive_id == self.redrive_id, plan.letter_id == self.id)
            ).one_or_none()
            if edited is None:
                return None
            if edited.edited is not None:
                # The contract of this release has accepted it, or that of the last.
                now = CATALOG[row.kind].event.dataschema() if row.kind in CATALOG else None
                bodies["edited"] = Body(row.kind, now, edited.edited)
        return Held(row.tenant, row.task_id, bodies, row.erased_at, row.service, row.fingerprint)

    def named(self) -> dict[str, Any]:
        """Its number."""
        return {"letter": self.id}


Thing = OfTask | OfSchedule | OfLetter


@dataclass(frozen=True, slots=True)
class Reveal:
    """A wish to see what is sealed."""

    thing: Thing
    #: Whose it may be; None: everybody's.
    tenant: str | None
    reason: str
    actor: str
    #: The id of the key that the caller has; None: nobody was asked for one.
    key: str | None
    at: datetime
    keyring: Keyring


@dataclass(frozen=True, slots=True)
class Opened:
    """What there was to see."""

    held: Held
    payloads: Mapping[str, Revealed]


@dataclass(frozen=True, slots=True)
class NotKept:
    """There is such a thing, but what it held is not kept any more."""

    #: When it was erased; None: it was forgotten once it was used, for it held a secret.
    erased_at: datetime | None


Answer = Opened | NotKept | UnknownKeyError | None


def reveal(connection: Connection, wishes: Sequence[Reveal]) -> Sequence[Answer]:
    """Opens what is sealed, and writes down who saw it; a batch write for `Records.write`.

    None: there is no such thing. A complaint concerns one wish, and is returned; nothing is written of it.
    """
    return [_reveal(connection, wish) for wish in wishes]


def _reveal(connection: Connection, wish: Reveal) -> Answer:
    held = wish.thing.find(connection, wish.tenant)
    if held is None:
        return None
    if not held.bodies or held.erased_at is not None:
        return NotKept(held.erased_at)
    try:
        payloads = {
            name: revealed(each.kind, each.dataschema, each.body, wish.keyring, held.owner or "")
            for name, each in held.bodies.items()
        }
    except UnknownKeyError as unknown:
        return unknown
    record(connection, [_deed(wish, held, payloads)])
    return Opened(held, payloads)


def _deed(wish: Reveal, held: Held, payloads: Mapping[str, Revealed]) -> AuditEntry:
    hidden = {f"{name}: {why}" for each in payloads.values() for name, why in each.hidden.items()}
    details = wish.thing.named() | ({"key": wish.key} if wish.key else {})
    letter = wish.thing if isinstance(wish.thing, OfLetter) else None
    return AuditEntry(
        wish.at,
        wish.actor,
        REVEAL,
        redrive_id=letter.redrive_id if letter else None,
        group=held.group,
        letters=1 if letter else None,
        reason=wish.reason,
        details=details | ({"hidden": sorted(hidden)} if hidden else {}),
        tenant=held.tenant,
        subject=held.owner,
    )
