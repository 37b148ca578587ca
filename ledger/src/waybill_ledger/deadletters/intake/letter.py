"""Letters: what the desk reads from messages in dead-letter queues, valid or not."""

import hashlib
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Self

from waybill_contracts.wire import MAX_ERROR_MESSAGE_LENGTH, Envelope, EnvelopeError, names
from waybill_ledger.deadletters.intake import amqp_json
from waybill_ledger.deadletters.letters import NOT_KEPT, Checked, ContractGate, Message
from waybill_ledger.progress import ERASED, fingerprint
from waybill_ledger.schema import DEFAULT_TENANT

#: Error messages for messages that the broker dead-lettered itself, by its reason.
_BROKER_WORDS: Final = {
    "delivery_limit": "The broker gave it up: it was returned too often, as by consumers that die of it.",
    "rejected": "Its consumer refused it before it could be read.",
    "expired": "It waited longer than its queue lets messages wait.",
    "maxlen": "Its queue was full.",
    "unrouted": "No queue was bound to where it was sent.",
}
_UNKNOWN_WORDS: Final = "The reason is unknown."
_SUFFIX: Final = ".dlq"
_MAX_REASON, _MAX_NAME, _MAX_FRAME, _MAX_VERSION, _MAX_TRACEBACK = 32, 200, 200, 64, 64 * 1024


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A message as it came out of a dead-letter queue."""

    queue: str
    body: bytes
    headers: Mapping[str, Any]
    #: AMQP properties that are set, by name.
    properties: Mapping[str, Any]
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """What is stored of a dead message."""

    key: str
    message: DeadMessage
    service: str
    envelope: Envelope | None
    correlation_id: str | None
    reason: str
    error_type: str
    error_message: str
    frame: str | None
    service_version: str | None
    traceback: str | None
    died_at: datetime
    #: The broker dead-lettered it, so no service has reported it to the ledger.
    is_unreported: bool
    #: Id of its group.
    fingerprint: str
    #: Verdict on its payload, and the version of the contracts.
    checked: Checked
    checked_against: str
    #: Owning tenant of its task; None: unknown.
    tenant: str | None = DEFAULT_TENANT
    #: Its task was erased, and so is its content.
    is_erased: bool = False

    def erased(self) -> Self:
        """This letter without its content."""
        message = replace(self.message, body=b"", headers={}, properties={})
        return replace(
            self,
            message=message,
            correlation_id=None,
            error_message=ERASED,
            traceback=None,
            checked=NOT_KEPT,
            is_erased=True,
        )

    def of(self, tenant: str | None) -> Self:
        """This letter, owned by a tenant; tenants do not share groups."""
        if tenant == self.tenant:
            return self
        content = f"{tenant or ''}\n{self.fingerprint}".encode()
        own = hashlib.sha256(content).hexdigest()[: len(self.fingerprint)]
        return replace(self, tenant=tenant, fingerprint=own)


def letter_of(message: DeadMessage, gate: ContractGate) -> Letter:
    """Reads a message as far as possible, and checks its payload."""
    headers = message.headers
    services = gate.registry.services
    service = _service(message, services)
    try:
        envelope = Envelope.from_headers(headers)
    except EnvelopeError:
        envelope = None
    stated = _text(headers.get(names.HEADER_DEAD_REASON), _MAX_REASON)
    death = _death(message, service)
    default = "unrouted" if message.queue == names.QUEUE_UNROUTED else "unknown"
    by_broker = _text(death.get("reason"), _MAX_REASON) or default
    reason = stated or by_broker
    words = f"{_BROKER_WORDS.get(reason, _UNKNOWN_WORDS)} Last queue: {death.get('queue', message.queue)}."
    error_type = _text(headers.get(names.HEADER_ERROR_TYPE), _MAX_NAME) or reason
    error_message = _text(headers.get(names.HEADER_ERROR_MESSAGE), MAX_ERROR_MESSAGE_LENGTH) or words
    frame = _text(headers.get(names.HEADER_ERROR_FRAME), _MAX_FRAME)
    kind = envelope.kind if envelope is not None else ""
    checked = gate.check(
        Message(
            service,
            envelope.kind if envelope is not None else None,
            envelope.dataschema if envelope is not None else None,
            message.body,
            envelope.task_id if envelope is not None else None,
        )
    )
    return Letter(
        key=_key(message, service, envelope, services),
        message=message,
        service=service,
        envelope=envelope,
        correlation_id=_text(message.properties.get("correlation_id"), _MAX_NAME),
        reason=reason,
        error_type=error_type,
        error_message=error_message,
        frame=frame,
        service_version=_text(headers.get(names.HEADER_SERVICE_VERSION), _MAX_VERSION),
        traceback=_text(headers.get(names.HEADER_TRACEBACK), _MAX_TRACEBACK),
        died_at=_died_at(headers, death, message.received_at),
        is_unreported=stated is None and envelope is not None and service in services,
        fingerprint=fingerprint(service, kind, error_type, error_message, frame),
        checked=checked,
        checked_against=gate.version,
    )


def _service(message: DeadMessage, services: Container[str]) -> str:
    if message.queue.endswith(_SUFFIX):
        return message.queue.removesuffix(_SUFFIX)
    # The dead-letter queue of its service was missing when it died.
    died_in = message.headers.get(names.HEADER_DIED_IN)
    return died_in if isinstance(died_in, str) and died_in in services else message.queue


def key_of(service: str, task_id: str, redrive_no: int) -> str:
    """Unique key of the letter of a subtask."""
    return f"{service}/{task_id}/{redrive_no}"


def _key(message: DeadMessage, service: str, envelope: Envelope | None, services: Container[str]) -> str:
    if envelope is not None and service in services:
        return key_of(service, envelope.task_id, envelope.redrive_no)
    # Headers of the broker differ between deliveries.
    kept = {k: amqp_json.to_json(v) for k, v in message.headers.items() if not _is_brokers(k)}
    content = hashlib.sha256(message.body)
    content.update(json.dumps(kept, sort_keys=True).encode())
    return f"{message.queue}#{content.hexdigest()}"


def _is_brokers(name: str) -> bool:
    return name in names.BROKER_HEADERS or name.startswith(names.BROKER_HEADER_PREFIXES)


def _death(message: DeadMessage, service: str) -> Mapping[str, Any]:
    """The broker's record of the last death. The newest comes first, including waits on the delay ladder."""
    deaths = message.headers.get("x-death")
    found = [each for each in deaths if isinstance(each, Mapping)] if isinstance(deaths, list) else []
    own = [each for each in found if str(each.get("queue", "")).startswith(f"{service}.")]
    return next(iter(own or found), {})


def _died_at(headers: Mapping[str, Any], death: Mapping[str, Any], received_at: datetime) -> datetime:
    stated = headers.get(names.HEADER_DIED_AT)
    try:
        at = datetime.fromisoformat(stated) if isinstance(stated, str) else death.get("time")
    except ValueError:
        at = None
    if not isinstance(at, datetime):
        return received_at
    # Not later than its receipt, even if a clock is ahead. Times of the broker have no zone.
    return min(at if at.tzinfo is not None else at.replace(tzinfo=UTC), received_at)


def _text(value: Any, at_most: int) -> str | None:
    """A header as text that both databases can hold; None if it is not text."""
    if not isinstance(value, str) or not value:
        return None
    return value[:at_most].replace("\0", "\N{REPLACEMENT CHARACTER}")
