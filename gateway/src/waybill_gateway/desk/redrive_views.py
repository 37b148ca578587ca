"""Answers about redrives."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from waybill_gateway.desk.letter_views import FieldFault
from waybill_ledger.deadletters import Effect, ItemState, Phase, RedriveState, Verdict
from waybill_ledger.deadletters.redrives import Redrive


class UnfixableView(BaseModel):
    """A letter that a redrive will not send, and its faults."""

    letter: int
    errors: list[FieldFault]


class DryRunView(BaseModel):
    """What a redrive would do, at the time of its plan."""

    verdicts: dict[Verdict, int]
    effects: dict[Effect, int]
    will_run: int
    will_skip: int
    edited: int
    destinations: dict[str, int]
    seconds: float
    unfixable: list[UnfixableView]


class ProgressView(BaseModel):
    """The letters of a redrive, by state."""

    model_config = ConfigDict(from_attributes=True)

    waiting: int
    sent: int
    succeeded: int
    failed: int
    cancelled: int
    skipped: int


class RedriveLinks(BaseModel):
    """Links."""

    self: str
    letters: str
    events: str


class RedriveView(BaseModel):
    """A redrive."""

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
    """A page of redrives, the latest first."""

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
    """A page of a redrive's letters, in the order of sending."""

    items: list[ItemView]
    next_cursor: str | None
