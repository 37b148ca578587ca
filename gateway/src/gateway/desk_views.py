"""What the failure desk's part of the API gives."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from ledger.deadletters.audit import Deed
from ledger.deadletters.groups import Group
from ledger.deadletters.redrives import Redrive
from ledger.deadletters.states import (
    Effect,
    GroupState,
    ItemState,
    LetterState,
    Phase,
    RedriveState,
    Verdict,
)


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


class GroupLinks(BaseModel):
    """Where to look next."""

    self: str
    letters: str
    export: str


class GroupView(BaseModel):
    """Letters that failed alike."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    state: GroupState
    service: str
    kind: str | None
    error_type: str
    message: str
    frame: str | None
    letters: dict[LetterState, int]
    total: int
    first_seen: datetime
    last_seen: datetime
    trend: list[int]
    sample: int
    note: str | None
    links: GroupLinks

    @classmethod
    def of(cls, group: Group) -> Self:
        """The view of a group."""
        here = f"/v1/dead-letters/groups/{group.id}"
        links = GroupLinks(self=here, letters=f"/v1/dead-letters?group={group.id}", export=f"{here}/export")
        values = {name: getattr(group, name) for name in cls.model_fields if name != "links"}
        return cls.model_validate(values | {"links": links})


class GroupPageView(BaseModel):
    """Some groups, the latest first."""

    items: list[GroupView]
    next_cursor: str | None


class UnfixableView(BaseModel):
    """A letter that a redrive will not send, and what is wrong with it."""

    letter: int
    errors: list[FieldFault]


class DryRunView(BaseModel):
    """What a redrive would do, as the plan was made."""

    verdicts: dict[Verdict, int]
    effects: dict[Effect, int]
    will_run: int
    will_skip: int
    edited: int
    destinations: dict[str, int]
    seconds: float
    unfixable: list[UnfixableView]


class ProgressView(BaseModel):
    """The letters of a redrive, by where they are."""

    model_config = ConfigDict(from_attributes=True)

    waiting: int
    sent: int
    succeeded: int
    failed: int
    cancelled: int
    skipped: int


class RedriveLinks(BaseModel):
    """Where to look next."""

    self: str
    letters: str
    events: str


class RedriveView(BaseModel):
    """A redrive as it stands."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    state: RedriveState
    phase: Phase | None
    hash: str
    note: str | None
    selection: dict[str, Any]
    edits: list[dict[str, Any]]
    rate: float
    canary: int
    letters: int
    dry_run: DryRunView
    progress: ProgressView
    created_at: datetime
    created_by: str
    started_at: datetime | None
    started_by: str | None
    ended_at: datetime | None
    halted_because: str | None
    links: RedriveLinks

    @classmethod
    def of(cls, redrive: Redrive) -> Self:
        """The view of a redrive."""
        here = f"/v1/redrives/{redrive.id}"
        links = RedriveLinks(self=here, letters=f"{here}/letters", events=f"{here}/events")
        values = {name: getattr(redrive, name) for name in cls.model_fields if name != "links"}
        return cls.model_validate(values | {"links": links})


class RedrivePageView(BaseModel):
    """Some redrives, the latest first."""

    items: list[RedriveView]
    next_cursor: str | None


class ItemView(BaseModel):
    """One letter of a redrive."""

    letter: int
    task_id: str | None
    service: str
    verdict: Verdict
    effect: Effect
    errors: list[FieldFault] | None
    edited: bool
    state: ItemState
    skipped_because: str | None
    redrive_no: int | None
    sent_at: datetime | None
    ended_at: datetime | None
    returned_as: int | None


class ItemPageView(BaseModel):
    """Some letters of a redrive, in the order in which they are sent."""

    items: list[ItemView]
    next_cursor: str | None


class DeedView(BaseModel):
    """Something that was done at the desk."""

    seq: int
    at: datetime
    actor: str
    action: str
    redrive: int | None
    group: str | None
    letters: int | None
    reason: str | None
    details: dict[str, Any] | None

    @classmethod
    def of(cls, seq: int, deed: Deed) -> Self:
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
        )


class DeedPageView(BaseModel):
    """Some deeds, the latest first."""

    items: list[DeedView]
    next_cursor: str | None
