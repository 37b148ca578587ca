"""Valid tasks, events and messages, so that a test names only the fields that matter to it."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from waybill_contracts.events import Event
from waybill_contracts.kinds import (
    CATALOG,
    EmailRequested,
    ImageUploaded,
    PasswordResetRequested,
    SyncRequested,
    UserCreated,
)
from waybill_contracts.privacy import NO_KEYS, Keyring
from waybill_contracts.registry import Manifest, built_in_registry
from waybill_contracts.versions import opener, read_event
from waybill_contracts.wire import (
    HEADER_DEAD_REASON,
    HEADER_DIED_AT,
    HEADER_DIED_IN,
    HEADER_ERROR_FRAME,
    HEADER_ERROR_MESSAGE,
    HEADER_ERROR_TYPE,
    HEADER_SERVICE_VERSION,
    HEADER_TRACEBACK,
    DeadReason,
    Envelope,
    ErrorInfo,
    LifecycleData,
    LifecycleEvent,
    LifecycleType,
    ProgressInfo,
    dead_letter_queue,
    lifecycle_event,
    source_of,
)
from waybill_database import Records
from waybill_ledger import (
    IdempotentCall,
    Missed,
    NewTask,
    Plan,
    Touch,
    new_task_id,
    record_stored,
    touch_files,
)
from waybill_ledger.deadletters.intake import DeadMessage
from waybill_ledger.deadletters.letters import ContractGate

#: When the samples' tasks are accepted, unless a test says otherwise.
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: Error of the samples' attempts.
ERROR = ErrorInfo(type="TransientError", message="refused")


def email_event(to: str = "ann@example.test") -> EmailRequested:
    """A mail with its own text."""
    return EmailRequested(to=to, subject="Hello", text="How are you?")


def user_event() -> UserCreated:
    """A kind with two subtasks, email and sync."""
    return UserCreated(user_id="u1", email="ann@example.test", name="Ann")


def reset_event() -> PasswordResetRequested:
    """A kind with a secret in it."""
    link = "https://app.example.test/reset?token=secret"
    return PasswordResetRequested(email="ann@example.test", link=link, expires_at=NOON + timedelta(hours=1))


def image_event() -> ImageUploaded:
    """A picture in the object store; only the service `images` consumes this kind."""
    return ImageUploaded(
        source_key=f"files/default/aa/{'a' * 64}",
        sha256="a" * 64,
        content_type="image/jpeg",
        width=640,
        height=480,
        size_bytes=1000,
        variants=("thumb",),
    )


async def uploaded(records: Records, *keys: str) -> None:
    """Has the ledger know files as stored, at noon, as their upload does."""
    for key in keys:
        await records.write(touch_files, Touch(key, NOON))
        await records.write(record_stored, Touch(key, NOON))


def sync_event(record_id: str = "7") -> SyncRequested:
    """A record to write."""
    return SyncRequested(target="crm", resource="contacts", id=record_id, data={"name": "Ann"})


def new_task(event: Event | None = None, keyring: Keyring = NO_KEYS, **fields: Any) -> NewTask:
    """A task of `event` (default: a mail), sealed only if there is a key; `fields` are those of `NewTask`."""
    task_id = new_task_id()
    standard: dict[str, Any] = {
        "id": task_id,
        "created_at": NOON,
        "correlation_id": task_id,
        "about": "ann@example.test",
    }
    event = event or email_event()
    return NewTask.of(built_in_registry().kind(event.KIND), event.event_data(), keyring, **standard | fields)


def event_in(task: NewTask, keyring: Keyring = NO_KEYS) -> Event:
    """Returns the event of a task."""
    event = CATALOG[task.kind].event
    return read_event(event, task.dataschema, task.payload, opened=opener(keyring, task.id)).event


def gate_of(keyring: Keyring = NO_KEYS) -> ContractGate:
    """Checks payloads by the contracts of the built-in kinds."""
    return ContractGate(built_in_registry(), keyring)


def next_release(service: str, kind: str) -> Manifest:
    """The manifest of a built-in service whose next release has a version 2 of a kind, and reads both."""
    manifest = built_in_registry().services[service].manifest
    handles = tuple(
        each.model_copy(update={"version": 2, "reads": (1, 2)}) if each.kind == kind else each
        for each in manifest.handles
    )
    return manifest.model_copy(update={"release": "2", "handles": handles})


def plan(name: str = "nightly", **fields: Any) -> Plan:
    """A mail every hour; `fields` are those of `Plan`."""
    standard: dict[str, Any] = {
        "kind": EmailRequested.KIND,
        "body": {"to": "ann@example.test", "subject": "Hello", "text": "How are you?"},
        "about": "ann@example.test",
        "person": None,
        "cron": "0 * * * *",
        "every_seconds": None,
        "timezone": "UTC",
        "starts_at": None,
        "ends_at": None,
        "missed": Missed.RUN_ONCE,
        "missed_limit": 10,
        "priority": None,
        "paused": False,
    }
    return Plan(name=name, **standard | fields)


def keyed(key: str, content: str = "same", scope: str = "POST /v1/emails") -> IdempotentCall:
    """A call that carries an idempotency key."""
    return IdempotentCall(scope, key, hashlib.sha256(content.encode()).hexdigest())


def envelope_of(event: Event, task_id: str | None = None, **fields: Any) -> Envelope:
    """The envelope of `event`; `fields` are those of `Envelope`."""
    task_id = task_id or new_task_id()
    standard: dict[str, Any] = {
        "id": task_id,
        "kind": event.KIND,
        "source": source_of("gateway"),
        "time": NOON,
        "dataschema": event.dataschema(),
        "task_id": task_id,
    }
    return Envelope(**standard | fields)


def dead_message(
    event: Event,
    task_id: str,
    *,
    service: str = "sync",
    error: ErrorInfo = ERROR,
    reason: DeadReason = DeadReason.EXHAUSTED,
    died_at: datetime = NOON,
    body: bytes | None = None,
    **fields: Any,
) -> DeadMessage:
    """A message as a service dead-letters it; `fields` are those of its envelope."""
    envelope = envelope_of(event, task_id, **{"attempt": 4, "max_attempts": 4} | fields)
    headers = envelope.to_headers() | {
        HEADER_DEAD_REASON: reason.value,
        HEADER_ERROR_TYPE: error.type,
        HEADER_ERROR_MESSAGE: error.message,
        HEADER_DIED_AT: died_at.isoformat(),
        HEADER_DIED_IN: service,
        HEADER_SERVICE_VERSION: "0.1.0",
        HEADER_TRACEBACK: "Traceback (most recent call last): …",
        HEADER_ERROR_FRAME: f"waybill_{service}.client:put",
    }
    return DeadMessage(
        queue=dead_letter_queue(service),
        body=event.model_dump_json(exclude_defaults=True).encode() if body is None else body,
        headers=headers,
        properties={"content_type": "application/json", "correlation_id": "order-7"},
        received_at=died_at + timedelta(seconds=1),
    )


def reported(  # noqa: PLR0913 - each is what some test is about
    type_: LifecycleType,
    task_id: str,
    *,
    service: str = "email",
    kind: str = "email.requested",
    attempt: int = 1,
    snooze_no: int = 0,
    redrive_no: int = 0,
    seconds_after: float = 0,
    result: Mapping[str, Any] | None = None,
    text: str = "half of it",
    has_files: bool | None = None,
) -> LifecycleEvent:
    """A lifecycle event with what its type needs, `seconds_after` after noon."""
    at = NOON + timedelta(seconds=seconds_after)
    waits = type_ in {LifecycleType.RETRYING, LifecycleType.SNOOZED}
    completed = type_ is LifecycleType.COMPLETED
    reports = type_ is LifecycleType.PROGRESS
    data = LifecycleData(
        task_id=task_id,
        service=service,
        kind=kind,
        redrive_no=redrive_no,
        attempt=attempt,
        snooze_no=snooze_no,
        max_attempts=4,
        seconds=None if reports or type_ is LifecycleType.STARTED else 0.5,
        error=ERROR if waits or type_ is LifecycleType.DEAD else None,
        reason=DeadReason.EXHAUSTED if type_ is LifecycleType.DEAD else None,
        has_files=has_files,
        next_attempt_at=at + timedelta(seconds=2) if waits else None,
        result=dict(result or {"done": True}) if completed else None,
        progress=ProgressInfo(share=0.5, text=text) if reports else None,
    )
    return lifecycle_event(type_, at, data)
