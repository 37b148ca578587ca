"""A task before it is accepted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import uuid_utils
from pydantic_core import to_json
from sqlalchemy import Table

from waybill_contracts.privacy import Keyring
from waybill_contracts.registry import Kind
from waybill_contracts.wire import new_traceparent
from waybill_ledger.outbox import LOW_PRIORITY
from waybill_ledger.schema import DEFAULT_TENANT


class KindRetiredError(Exception):
    """No service handles this kind any more."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"no service handles {kind} any more")


def new_task_id() -> str:
    """A UUIDv7 (RFC 9562, 5.7): ids sort by time of creation."""
    return str(uuid_utils.uuid7())


@dataclass(frozen=True, slots=True)
class Slot:
    """The schedule that created a task, and the time that it was due."""

    schedule_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Parent:
    """The task that spawned a task, and the service whose handler did."""

    task_id: str
    service: str


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
    #: Of its message.
    routing_key: str
    #: Services that each do one subtask.
    services: tuple[str, ...]
    #: Subject, for people who read listings.
    about: str
    #: Keyed digest of the person whom it concerns.
    person: str | None = None
    #: Keys of the files in the object store that it needs.
    files: tuple[str, ...] = ()
    #: Whether the payload is deleted once the task is completed.
    is_secret: bool = False
    due_at: datetime | None = None
    deadline: datetime | None = None
    #: Every task belongs to a trace, recorded or not.
    traceparent: str = field(default_factory=new_traceparent)
    priority: int | None = None
    slot: Slot | None = None
    parent: Parent | None = None
    tenant: str = DEFAULT_TENANT

    @classmethod
    def of(
        cls,
        kind: Kind,
        data: Mapping[str, Any],
        keyring: Keyring,
        *,
        id: str,  # noqa: A002 - its name
        version: int | None = None,
        **fields: Any,
    ) -> Self:
        """The task of a kind, which goes to the services that handle the kind now.

        Args:
            kind: the kind.
            data: valid by its contract, which may leave out what is marked as the id of the task.
            keyring: seals what is marked as sensitive.
            id: of the task.
            version: of the contract; None: the newest.
            fields: the other fields of the task.

        Raises:
            KindRetiredError: no service handles the kind any more.
        """
        if not kind.services:
            raise KindRetiredError(kind.name)
        contract = kind.current if version is None else kind.contracts[version]
        whole = contract.completed(data, id)
        return cls(
            id=id,
            kind=kind.name,
            dataschema=contract.dataschema,
            payload=to_json(keyring.seal_fields(whole, contract.sensitive, id)),
            files=contract.files_of(whole),
            is_secret=bool(contract.secret),
            routing_key=kind.route.routing_key,
            services=kind.route.services,
            **fields,
        )

    @property
    def is_held(self) -> bool:
        """Whether it is due, but waits in the outbox until the queues of its services are short."""
        return self.due_at is None and self.priority == LOW_PRIORITY


@dataclass(frozen=True, slots=True)
class CompanionRow:
    """A row of another table that is written together with a task."""

    table: Table
    values: Mapping[str, object]
