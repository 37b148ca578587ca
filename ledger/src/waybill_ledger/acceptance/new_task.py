"""What goes into the ledger when a task is accepted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import uuid_utils
from sqlalchemy import Table

from waybill_contracts.kinds.catalog import CATALOG
from waybill_contracts.kinds.task_event import TaskEvent
from waybill_contracts.privacy.seal import Keyring
from waybill_contracts.wire.trace import new_traceparent
from waybill_ledger.outbox.pending_message import LOW_PRIORITY
from waybill_ledger.schema.tenants import DEFAULT_TENANT


def new_task_id() -> str:
    """A UUIDv7 (RFC 9562, 5.7): ids sort by their time of creation."""
    return str(uuid_utils.uuid7())


@dataclass(frozen=True, slots=True)
class Slot:
    """Which schedule made a task, and for which of its times."""

    schedule_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task as it is accepted; it holds nothing sensitive that is not sealed."""

    id: str
    #: The event type that the task is made from, and the contract and version that its payload follows.
    kind: str
    dataschema: str
    payload: bytes
    created_at: datetime
    correlation_id: str
    #: Whom or what it concerns, for people who read the list.
    about: str
    #: A keyed digest of the person whom it concerns, by which it is found.
    person: str | None = None
    #: Keys of the files in the object store that it needs.
    files: tuple[str, ...] = ()
    due_at: datetime | None = None
    deadline: datetime | None = None
    #: Every task belongs to a trace, whether anybody records it or not.
    traceparent: str = field(default_factory=new_traceparent)
    priority: int | None = None
    slot: Slot | None = None
    tenant: str = DEFAULT_TENANT

    @classmethod
    def of(cls, event: TaskEvent, keyring: Keyring, *, id: str, **fields: Any) -> Self:  # noqa: A002 - its name
        """The task of an event, whose sensitive fields are sealed; `fields` are the others of a task."""
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
        """Whether it is due, but goes to the broker only when the queues of its services are short."""
        return self.due_at is None and self.priority == LOW_PRIORITY

    @property
    def services(self) -> tuple[str, ...]:
        """The services that each do one subtask of it."""
        return CATALOG[self.kind].services


@dataclass(frozen=True, slots=True)
class CompanionRow:
    """A row of another table that is written together with a task."""

    table: Table
    values: Mapping[str, object]
