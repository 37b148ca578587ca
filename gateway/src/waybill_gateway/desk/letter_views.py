"""Answers about dead letters, and about the audit trail."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel

from waybill_ledger.audit import AuditEntry
from waybill_ledger.deadletters import Effect, ItemState, LetterState, Verdict


class ErrorView(BaseModel):
    """The error of a failed attempt."""

    type: str
    message: str


class FieldFault(BaseModel):
    """One violation of the contract by a payload."""

    field: str
    message: str


class ClosedView(BaseModel):
    """The discarding or archiving of a letter."""

    at: datetime
    by: str
    reason: str | None


class LetterView(BaseModel):
    """A dead letter."""

    id: int
    state: LetterState
    queue: str
    service: str
    group: str
    kind: str | None
    task_id: str | None
    correlation_id: str | None
    redrive_no: int
    edit_no: int
    attempt: int | None
    max_attempts: int | None
    reason: str
    error: ErrorView
    frame: str | None
    service_version: str | None
    dataschema: str | None
    verdict: Verdict
    errors: list[FieldFault] | None
    effect: Effect
    died_at: datetime
    received_at: datetime
    last_received_at: datetime
    deliveries: int
    redrive: int | None
    closed: ClosedView | None
    restorable_until: datetime | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """The view of a row of the ledger."""
        is_closed = row["put_away_at"] is not None
        closed = {"at": row["put_away_at"], "by": row["put_away_by"], "reason": row["put_away_reason"]}
        return cls.model_validate(
            row
            | {
                "group": row["fingerprint"],
                "error": {"type": row["error_type"], "message": row["error_message"]},
                "redrive": row["redrive_id"],
                "closed": closed if is_closed else None,
                "restorable_until": row["forget_at"] if is_closed else None,
            }
        )


class LetterRedriveView(BaseModel):
    """One redrive of a letter's subtask, and its outcome."""

    redrive_id: int
    letter_id: int
    redrive_no: int
    edited: bool
    state: ItemState
    sent_at: datetime
    ended_at: datetime | None
    returned_as: int | None


class WholeLetterView(LetterView):
    """A dead letter with all details."""

    #: The body as JSON, sensitive fields redacted; null if it is not JSON.
    payload: Any
    #: The body, if it is not JSON.
    body_base64: str | None
    headers: dict[str, Any]
    properties: dict[str, Any]
    traceback: str | None
    redrives: list[LetterRedriveView]


class LetterPageView(BaseModel):
    """A page of letters, newest first."""

    items: list[LetterView]
    next_cursor: str | None


class PreviewView(BaseModel):
    """The result of an edit of a payload."""

    verdict: Verdict
    errors: list[FieldFault] | None
    payload: Any


class ChangedView(BaseModel):
    """The number of letters that changed."""

    changed: int
    restorable_until: datetime | None


class AuditEntryView(BaseModel):
    """An entry of the audit trail: an action at the failure desk, an erasure, a reveal."""

    seq: int
    at: datetime
    actor: str
    action: str
    redrive: int | None
    group: str | None
    letters: int | None
    reason: str | None
    details: dict[str, Any] | None
    #: Id of the task or schedule of a reveal.
    subject: str | None

    @classmethod
    def of(cls, seq: int, entry: AuditEntry) -> Self:
        """The view of an entry."""
        return cls(
            seq=seq,
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            redrive=entry.redrive_id,
            group=entry.group,
            letters=entry.letters,
            reason=entry.reason,
            details=entry.details,
            subject=entry.subject,
        )


class AuditPageView(BaseModel):
    """A page of entries, the latest first."""

    items: list[AuditEntryView]
    next_cursor: str | None
