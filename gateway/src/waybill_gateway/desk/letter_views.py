"""What the API gives of dead letters, and of what was done at the desk."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel

from waybill_ledger.audit.trail import AuditEntry
from waybill_ledger.deadletters.states import Effect, ItemState, LetterState, Verdict


class ErrorView(BaseModel):
    """What went wrong."""

    type: str
    message: str


class FieldFault(BaseModel):
    """One way in which a payload breaks its contract."""

    field: str
    message: str


class PutAwayView(BaseModel):
    """Who put a letter away, and why."""

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
    put_away: PutAwayView | None
    restorable_until: datetime | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """The view of a row of the ledger."""
        is_away = row["put_away_at"] is not None
        put_away = {"at": row["put_away_at"], "by": row["put_away_by"], "reason": row["put_away_reason"]}
        return cls.model_validate(
            row
            | {
                "group": row["fingerprint"],
                "error": {"type": row["error_type"], "message": row["error_message"]},
                "redrive": row["redrive_id"],
                "put_away": put_away if is_away else None,
                "restorable_until": row["forget_at"] if is_away else None,
            }
        )


class LetterRedriveView(BaseModel):
    """One redrive of a letter's subtask, and how it ended."""

    redrive_id: int
    letter_id: int
    redrive_no: int
    edited: bool
    state: ItemState
    sent_at: datetime
    ended_at: datetime | None
    returned_as: int | None


class WholeLetterView(LetterView):
    """A dead letter with all that is known of it."""

    #: The body as JSON, sensitive fields redacted; null if it is none.
    payload: Any
    #: The body where it is no JSON.
    body_base64: str | None
    headers: dict[str, Any]
    properties: dict[str, Any]
    traceback: str | None
    redrives: list[LetterRedriveView]


class LetterPageView(BaseModel):
    """Some letters, newest first."""

    items: list[LetterView]
    next_cursor: str | None


class PreviewView(BaseModel):
    """What an edit would make of a payload."""

    verdict: Verdict
    errors: list[FieldFault] | None
    payload: Any


class ChangedView(BaseModel):
    """How many letters were moved."""

    changed: int
    restorable_until: datetime | None


class AuditEntryView(BaseModel):
    """Something that was done: at the desk, an erasure, a reveal."""

    seq: int
    at: datetime
    actor: str
    action: str
    redrive: int | None
    group: str | None
    letters: int | None
    reason: str | None
    details: dict[str, Any] | None
    #: The id of the task or schedule of which something was revealed.
    subject: str | None

    @classmethod
    def of(cls, seq: int, deed: AuditEntry) -> Self:
        """The view of a deed."""
        return cls(
            seq=seq,
            at=deed.at,
            actor=deed.actor,
            action=deed.action,
            redrive=deed.redrive_id,
            group=deed.group,
            letters=deed.letters,
            reason=deed.reason,
            details=deed.details,
            subject=deed.subject,
        )


class AuditPageView(BaseModel):
    """Some deeds, the latest first."""

    items: list[AuditEntryView]
    next_cursor: str | None
