"""A task before it is accepted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import uuid_utils
from sqlalchemy import Table

from waybill_contracts.events import Event
from waybill_contracts.kinds import CATALOG
from waybill_contracts.privacy import Keyring
from waybill_contracts.wire import new_traceparent
from waybill_ledger.outbox import LOW_PRIORITY
from waybill_ledger.schema import DEFAULT_TENANT


def new_task_id() -> str:
    """A UUIDv7 (RFC 9562, 5.7): ids sort by time of creation."""
    return str(uuid_utils.uuid7())


@dataclass(frozen=True, slots=True)
class Slot:
    """The schedule that created a task, and the time that it was due."""

    schedule_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to accept, with its sensitive fields sealed."""

    id: str
    #: Type of its event, and the contract and version of its payload.
    kind: str
    dataschema: str
    payload: bytes
    created_at: datetime
    correlation_id: str
    #: Subject, for people who read listings.
    about: str
    #: Keyed digest of the person whom it concerns.
    person: str | None = None
    #: Keys of the files in the object store that it needs.
    files: tuple[str, ...] = ()
    due_at: datetime | None = None
    deadline: datetime | None = None
    #: Every task belongs to a trace, recorded or not.
    traceparent: str = field(default_factory=new_traceparent)
    priority: int | None = None
    slot: Slot | None = None
    tenant: str = DEFAULT_TENANT

    @classmethod
    def of(cls, event: Event, keyring: Keyring, *, id: str, **fields: Any) -> Self:  # noqa: A002 - its name
        """The task of an event, with sensitive fields sealed; `fields` are the other fields of the task."""
        payload = keyring.sealed_payload(event, id)
        return cls(
            id=id,
            kind=event.KIND,
            dataschema=event.dataschema(),
            payload=payload,
            files=event.stored_files,
            **fields,
        )

    @property
    def is_held(self) -> bool:
        """Whether it is due, but waits in the outbox until the queues of its services are short."""
        return self.due_at is None and self.priority == LOW_PRIORITY

    @property
    def services(self) -> tuple[str, ...]:
        """Services that each do one subtask."""
        return CATALOG[self.kind].services


@dataclass(frozen=True, slots=True)
class CompanionRow:
    """A row of another table that is written together with a task."""

    table: Table
    values: Mapping[str, object]
