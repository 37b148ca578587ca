"""Spawned tasks: accepted in the transaction that applies the outcome which brings them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, delete, select

from waybill_contracts.privacy import (
    Keyring,
    SealBrokenError,
    UnknownKeyError,
    is_sealed,
    mask_addresses,
)
from waybill_contracts.registry import Contract, DataFault, Kind, Registry
from waybill_contracts.wire import (
    DeadReason,
    ErrorInfo,
    LifecycleData,
    LifecycleEvent,
    LifecycleType,
    SpawnedTask,
    lifecycle_event,
    new_traceparent,
)
from waybill_ledger.acceptance.accept import insert_tasks, missing_files
from waybill_ledger.acceptance.new_task import NewTask, Parent
from waybill_ledger.acceptance.person_digests import Persons
from waybill_ledger.outbox import HIGH_PRIORITY, LOW_PRIORITY
from waybill_ledger.progress import Spawned
from waybill_ledger.registry import load_registry
from waybill_ledger.schema import OUTBOX, TASKS

_PRIORITIES: Final = {"low": LOW_PRIORITY, "high": HIGH_PRIORITY, None: None}
#: Faults of the data that an error names.
_MOST_FAULTS: Final = 5
_FILES_MISSING: Final = ErrorInfo(
    type="FilesMissingError", message="It refers to files that are not there, or are of another tenant."
)


@dataclass(frozen=True, slots=True)
class SpawnTerms:
    """What accepting spawned tasks needs to know."""

    now: datetime
    registry: Registry
    #: Opens the data, and seals what the registered contract marks in addition.
    keyring: Keyring
    persons: Persons


@dataclass(frozen=True, slots=True)
class AcceptedSpawn:
    """Result of accepting spawned tasks."""

    tasks: list[NewTask]
    #: One for each task that no service can do, to be applied to it now: it is accepted, and has failed.
    refusals: list[LifecycleEvent]


class _RefusedError(Exception):
    """No service can do the task."""

    def __init__(self, type_: str, message: str) -> None:
        super().__init__(message)
        self.info = ErrorInfo(type=type_, message=message)


def accept_spawned(connection: Connection, batches: Iterable[Spawned], terms: SpawnTerms) -> AcceptedSpawn:
    """Accepts spawned tasks in the transaction of the caller, each id once; the relay publishes them."""
    accepted = AcceptedSpawn([], [])
    for batch in batches:
        _accept(connection, batch, terms, accepted)
    return accepted


def _accept(connection: Connection, batch: Spawned, terms: SpawnTerms, accepted: AcceptedSpawn) -> None:
    ids = [task.id for task in batch.tasks]
    known = set(connection.scalars(select(TASKS.c.id).where(TASKS.c.id.in_(ids))))
    wanted = [task for task in batch.tasks if task.id not in known]
    registry = _registry_with(connection, wanted, terms.registry)
    tasks, refused = dict[str, NewTask](), dict[str, ErrorInfo]()
    for task in wanted:
        try:
            tasks[task.id] = _task(batch, task, registry, terms)
        except _RefusedError as refusal:
            refused[task.id] = refusal.info
    refused |= dict.fromkeys(missing_files(connection, list(tasks.values())), _FILES_MISSING)
    for task in wanted:
        if task.id in refused:
            tasks[task.id] = _refused_task(batch, task, terms.now)
            accepted.refusals.append(_refusal(batch, task, refused[task.id], terms.now))
    made = [tasks[task.id] for task in wanted]
    insert_tasks(connection, made)
    if refused:
        connection.execute(delete(OUTBOX).where(OUTBOX.c.task_id.in_(refused)))
    accepted.tasks.extend(made)


def _registry_with(connection: Connection, tasks: Sequence[SpawnedTask], registry: Registry) -> Registry:
    """The registry; read anew if it lacks a kind, a version or a service: that may be registered by now."""
    for task in tasks:
        kind = registry.find(task.kind)
        if kind is None or not kind.services or kind.contract_of(task.dataschema) is None:
            return load_registry(connection, registry)
    return registry


def _task(batch: Spawned, task: SpawnedTask, registry: Registry, terms: SpawnTerms) -> NewTask:
    kind = registry.find(task.kind)
    if kind is None:
        raise _RefusedError("UnknownKindError", f"No service has registered the kind {task.kind}.")
    if not kind.services:
        raise _RefusedError("KindRetiredError", f"No service handles {task.kind} any more.")
    sent = _object(task)
    try:
        data = terms.keyring.open_fields(sent, task.id)
    except SealBrokenError as broken:
        raise _RefusedError("SealBrokenError", f"Its data cannot be opened: {broken}.") from None
    except UnknownKeyError:
        # Its services may have the key: they open it, or wait for the key. Nothing in it can be read here.
        return _new_task(batch, task, kind, terms, person=None, about="")
    contract = kind.contract_of(task.dataschema)
    if contract is None:
        # Of a release that is not registered yet: its services wait until they read it.
        contract = kind.current
        payload = task.payload.encode()
    else:
        data = _checked(contract, data, task.id)
        payload = _sealed(sent, data, contract, terms.keyring, task.id)
    person = contract.person_of(data)
    return _new_task(
        batch,
        task,
        kind,
        terms,
        person=person,
        about=contract.about(data) or person or "",
        payload=payload,
        files=contract.files_of(data),
    )


def _new_task(
    batch: Spawned,
    task: SpawnedTask,
    kind: Kind,
    terms: SpawnTerms,
    *,
    person: str | None,
    about: str,
    **fields: Any,
) -> NewTask:
    own: dict[str, Any] = {
        # Without one of its own it is taken to be about the person of its parent, and is erased with that.
        "person": batch.person if person is None else terms.persons.digest(person),
        "about": mask_addresses(about),
        "due_at": task.due_at if task.due_at is not None and task.due_at > terms.now else None,
        "priority": _PRIORITIES[task.priority],
        "is_secret": bool(kind.secret),
        "routing_key": kind.route.routing_key,
        "services": kind.route.services,
    }
    return NewTask(**_shared(batch, task, terms.now) | own | fields)


def _refused_task(batch: Spawned, task: SpawnedTask, now: datetime) -> NewTask:
    """The record of a task that no service can do; its one subtask is that of the service that spawned it."""
    own = {"about": "", "person": batch.person, "routing_key": task.kind, "services": (batch.service,)}
    return NewTask(**_shared(batch, task, now) | own)


def _shared(batch: Spawned, task: SpawnedTask, now: datetime) -> dict[str, Any]:
    return {
        "id": task.id,
        "kind": task.kind,
        "dataschema": task.dataschema,
        "payload": task.payload.encode(),
        "created_at": now,
        "correlation_id": batch.correlation_id,
        "traceparent": batch.traceparent or new_traceparent(),
        "tenant": batch.tenant,
        "parent": Parent(batch.task_id, batch.service),
    }


def _object(task: SpawnedTask) -> dict[str, Any]:
    try:
        sent = from_json(task.payload)
    except ValueError:
        sent = None
    if not isinstance(sent, dict):
        raise _RefusedError("ContractBrokenError", "Its data is not a JSON object.")
    return sent


def _checked(contract: Contract, data: dict[str, Any], task_id: str) -> dict[str, Any]:
    whole = contract.completed(data, task_id)
    if faults := contract.faults(whole):
        raise _RefusedError("ContractBrokenError", _in_words(contract, faults))
    return whole


def _sealed(
    sent: dict[str, Any], whole: dict[str, Any], contract: Contract, keyring: Keyring, task_id: str
) -> bytes:
    """The data with all fields sealed that either the sender or the registered contract seals."""
    rest = {name: value for name, value in whole.items() if not is_sealed(sent.get(name))}
    sealed = keyring.seal_fields(rest, contract.sensitive, task_id)
    return to_json({name: sealed.get(name, sent.get(name)) for name in whole})


def _in_words(contract: Contract, faults: Sequence[DataFault]) -> str:
    shown = "; ".join(f"{fault.pointer or '/'}: {fault.message}" for fault in faults[:_MOST_FAULTS])
    return f"Its data breaks the registered contract {contract.dataschema}: {shown}."


def _refusal(batch: Spawned, task: SpawnedTask, error: ErrorInfo, now: datetime) -> LifecycleEvent:
    data = LifecycleData(
        task_id=task.id,
        service=batch.service,
        kind=task.kind,
        redrive_no=0,
        attempt=1,
        max_attempts=1,
        error=error,
        reason=DeadReason.PERMANENT,
    )
    return lifecycle_event(LifecycleType.DEAD, now, data)
