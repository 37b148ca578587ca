"""Dead letters in the queues of the broker."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aio_pika.abc import AbstractIncomingMessage, AbstractQueue

from waybill_cli.broker.connection import ANSWER_SECONDS
from waybill_cli.checking import UNCHECKED, Fit, check_payload, unreadable
from waybill_contracts.registry import built_in_registry
from waybill_contracts.wire import Envelope, EnvelopeError, names

#: Reason of a letter that the broker dead-lettered by itself, without our headers.
_BY_BROKER: Final = "by the broker"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message in a dead-letter queue, taken but not acknowledged."""

    service: str
    message: AbstractIncomingMessage
    #: None: the message has no valid envelope.
    envelope: Envelope | None
    fit: Fit

    @property
    def subtask(self) -> tuple[str, str, int] | None:
        """Its identity: service, task, redrive number."""
        return (self.service, self.envelope.task_id, self.envelope.redrive_no) if self.envelope else None

    def header(self, name: str) -> str | None:
        """A header that was set when it was dead-lettered."""
        value = self.message.headers.get(name)
        return str(value) if value is not None else None

    @property
    def died_at(self) -> str | None:
        """Time of its dead-lettering in ISO 8601; None if unknown."""
        try:
            at = datetime.fromisoformat(self.header(names.HEADER_DIED_AT) or "")
        except ValueError:
            return None
        return at.isoformat() if at.tzinfo is not None else None

    @property
    def reason(self) -> str:
        """Why no further attempt was made."""
        return self.header(names.HEADER_DEAD_REASON) or _BY_BROKER

    def facts(self) -> dict[str, Any]:
        """Its facts, for programs."""
        envelope = self.envelope
        return {
            "service": self.service,
            "task_id": envelope.task_id if envelope else None,
            "kind": envelope.kind if envelope else None,
            "attempt": envelope.attempt if envelope else None,
            "redrive_no": envelope.redrive_no if envelope else None,
            "died_at": self.died_at,
            "reason": self.reason,
            "error_type": self.header(names.HEADER_ERROR_TYPE),
            "error_message": self.header(names.HEADER_ERROR_MESSAGE),
            "frame": self.header(names.HEADER_ERROR_FRAME),
            "service_version": self.header(names.HEADER_SERVICE_VERSION),
            "verdict": self.fit.verdict,
            "faults": [{"field": fault.field, "message": fault.message} for fault in self.fit.faults],
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter of letters; an empty or None field matches all."""

    tasks: frozenset[str] = frozenset()
    kind: str | None = None
    reason: str | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether the filter matches this letter."""
        envelope = letter.envelope
        return (
            (not self.tasks or (envelope is not None and envelope.task_id in self.tasks))
            and (self.kind is None or (envelope is not None and envelope.kind == self.kind))
            and (self.reason is None or letter.reason == self.reason)
        )


async def take_letters(queue: AbstractQueue, service: str, most: int) -> AsyncIterator[Letter]:
    """Takes up to `most` letters, oldest first; unacknowledged ones return when the channel closes.

    The broker counts one return of each. Dead-letter queues allow a million.
    """
    for _ in range(most):
        message = await queue.get(no_ack=False, fail=False, timeout=ANSWER_SECONDS)
        if message is None:
            return
        yield read_letter(service, message)


def read_letter(service: str, message: AbstractIncomingMessage) -> Letter:
    """Reads the envelope of a message, and checks its payload."""
    headers: Mapping[str, Any] = message.headers
    try:
        envelope = Envelope.from_headers(headers)
    except EnvelopeError as error:
        return Letter(service, message, None, unreadable("headers", str(error)))
    return Letter(service, message, envelope, _checked(service, envelope, message.body))


def _checked(service: str, envelope: Envelope, body: bytes) -> Fit:
    """The verdict on a payload; without the gateway only the contracts that come with Waybill are at hand."""
    registry = built_in_registry()
    if registry.find(envelope.kind) is None:
        return Fit(UNCHECKED)
    return check_payload(registry, service, envelope.kind, envelope.dataschema, body)
