"""The envelope of a task event: CloudEvents attributes in binary mode and our own headers.

Source: CloudEvents 1.0.2 and its AMQP binding, attributes prefixed `cloudEvents_`; W3C Trace Context.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from waybill_contracts.wire import names
from waybill_contracts.wire.lifecycle import MAX_COUNT, MAX_SNOOZES

_ID = names.CLOUD_EVENTS_PREFIX + "id"
_TYPE = names.CLOUD_EVENTS_PREFIX + "type"
_SOURCE = names.CLOUD_EVENTS_PREFIX + "source"
_TIME = names.CLOUD_EVENTS_PREFIX + "time"
_SPECVERSION = names.CLOUD_EVENTS_PREFIX + "specversion"
_DATASCHEMA = names.CLOUD_EVENTS_PREFIX + "dataschema"


#: Longer than any header of ours; bounds what a damaged message can add to records and logs.
MAX_TEXT_LENGTH = 255
#: The length that the records of the services have room for.
MAX_TASK_ID_LENGTH = 64


class EnvelopeError(ValueError):
    """A header is missing or malformed."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a service must know about a message before it reads the body."""

    #: CloudEvents id; all copies and attempts of one event have the same id.
    id: str
    kind: str
    source: str
    time: datetime
    dataschema: str
    task_id: str
    #: Counted from 1, by Waybill and not by the broker.
    attempt: int = 1
    #: How often this attempt was snoozed, which is not counted as an attempt.
    snooze_no: int = 0
    #: Set by the service at the first retry, so that a later change of policy has no effect; None before.
    max_attempts: int | None = None
    redrive_no: int = 0
    #: How often an operator has edited the payload of this subtask.
    edit_no: int = 0
    #: No attempt starts after this time.
    deadline: datetime | None = None
    traceparent: str | None = None

    def next_attempt(self, max_attempts: int) -> Self:
        """The envelope of the next attempt."""
        return replace(self, attempt=self.attempt + 1, snooze_no=0, max_attempts=max_attempts)

    def snoozed(self, max_attempts: int | None) -> Self:
        """The envelope of the snoozed attempt, which is repeated without being counted.

        Args:
            max_attempts: as the policy says; None: unknown to the process that snoozes it.
        """
        return replace(self, snooze_no=self.snooze_no + 1, max_attempts=max_attempts)

    def redriven(self) -> Self:
        """The envelope of an event that an operator redrives: it starts again with its first attempt.

        It has no deadline: an operator who redrives wants it done even if late.
        """
        return replace(
            self, attempt=1, snooze_no=0, max_attempts=None, redrive_no=self.redrive_no + 1, deadline=None
        )

    def to_headers(self) -> dict[str, Any]:
        """The AMQP headers; only those of Waybill, so that no header of the broker is published again."""
        headers: dict[str, Any] = {
            _ID: self.id,
            _TYPE: self.kind,
            _SOURCE: self.source,
            _TIME: self.time.isoformat(),
            _SPECVERSION: "1.0",
            _DATASCHEMA: self.dataschema,
            names.HEADER_TASK_ID: self.task_id,
            names.HEADER_ATTEMPT: self.attempt,
            names.HEADER_REDRIVE_NO: self.redrive_no,
        }
        if self.edit_no:
            headers[names.HEADER_EDIT_NO] = self.edit_no
        if self.snooze_no:
            headers[names.HEADER_SNOOZE_NO] = self.snooze_no
        if self.max_attempts is not None:
            headers[names.HEADER_MAX_ATTEMPTS] = self.max_attempts
        if self.deadline is not None:
            headers[names.HEADER_DEADLINE] = self.deadline.isoformat()
        if self.traceparent is not None:
            headers[names.HEADER_TRACEPARENT] = self.traceparent
        return headers

    @classmethod
    def from_headers(cls, headers: Mapping[str, Any]) -> Self:
        """Reads the envelope from AMQP headers.

        Raises:
            EnvelopeError: a header is missing or malformed.
        """
        max_attempts = headers.get(names.HEADER_MAX_ATTEMPTS)
        deadline = headers.get(names.HEADER_DEADLINE)
        traceparent = headers.get(names.HEADER_TRACEPARENT)
        return cls(
            id=_text(headers, _ID),
            kind=_text(headers, _TYPE),
            source=_text(headers, _SOURCE),
            time=_instant(headers, _TIME),
            dataschema=_text(headers, _DATASCHEMA),
            task_id=_text(headers, names.HEADER_TASK_ID, at_most=MAX_TASK_ID_LENGTH),
            attempt=_count(headers, names.HEADER_ATTEMPT, at_least=1),
            snooze_no=_count(headers, names.HEADER_SNOOZE_NO, at_least=0, at_most=MAX_SNOOZES, absent=0),
            max_attempts=None
            if max_attempts is None
            else _count(headers, names.HEADER_MAX_ATTEMPTS, at_least=1),
            redrive_no=_count(headers, names.HEADER_REDRIVE_NO, at_least=0),
            edit_no=_count(headers, names.HEADER_EDIT_NO, at_least=0, absent=0),
            deadline=None if deadline is None else _instant(headers, names.HEADER_DEADLINE),
            traceparent=None if traceparent is None else _text(headers, names.HEADER_TRACEPARENT),
        )


def _text(headers: Mapping[str, Any], name: str, *, at_most: int = MAX_TEXT_LENGTH) -> str:
    value = headers.get(name)
    if not isinstance(value, str) or not value or len(value) > at_most or not value.isprintable():
        raise EnvelopeError(f"header {name} is missing or not a printable text of up to {at_most} characters")
    return value


def _count(
    headers: Mapping[str, Any],
    name: str,
    *,
    at_least: int,
    at_most: int = MAX_COUNT,
    absent: int | None = None,
) -> int:
    value = headers.get(name, absent)
    if not isinstance(value, int) or isinstance(value, bool) or not at_least <= value <= at_most:
        raise EnvelopeError(f"header {name} is missing or not an integer from {at_least} to {at_most}")
    return value


def _instant(headers: Mapping[str, Any], name: str) -> datetime:
    text = _text(headers, name)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise EnvelopeError(f"header {name} is not an ISO 8601 time") from None
    if instant.tzinfo is None:
        raise EnvelopeError(f"header {name} has no time zone")
    return instant
