"""What the API takes and gives where what is sealed is revealed."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from waybill_gateway.desk.letter_views import FieldFault
from waybill_gateway.desk.models import PayloadPatch
from waybill_gateway.http.fields import NOT_BLANK
from waybill_ledger.access.opened_payload import Hidden, Revealed, revealed_edit
from waybill_ledger.deadletters.redrives.edits import Edited
from waybill_ledger.deadletters.states import Verdict

MAX_REASON = 500


class RevealReason(BaseModel):
    """Why somebody has to see what is sealed."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "ticket 7: Ann asks"}]}
    )

    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON, pattern=NOT_BLANK)] = Field(
        description="It goes into the audit trail, for whoever asks later why this was looked at."
    )


class RevealLetter(RevealReason):
    """The same, and an edit to be tried."""

    patch: PayloadPatch | None = Field(
        None,
        description="A JSON Patch (RFC 6902): `edited` tells what it would make of the payload. An empty one "
        "brings the payload into the contract's current form.",
    )


class RevealedView(BaseModel):
    """A payload, its sealed fields opened."""

    kind: str | None
    dataschema: str | None = Field(description="The contract and version that it follows.")
    payload: Any
    body_base64: str | None = Field(description="The body where it is no JSON.")
    hidden: dict[str, Hidden] = Field(
        description="The fields that stay `[redacted]`, and why: `secret` is never revealed, `unknown` came "
        "sealed and is in no contract of this release, `altered` cannot be opened. `body`: all of it."
    )

    @classmethod
    def of(cls, seen: Revealed, **more: Any) -> Self:
        """The view of a revealed payload."""
        return cls(
            kind=seen.kind,
            dataschema=seen.dataschema,
            payload=seen.payload,
            body_base64=seen.body_base64,
            hidden=dict(seen.hidden),
            **more,
        )


class RevealedTaskView(RevealedView):
    """What a task was accepted with."""

    id: str
    edited: dict[str, RevealedView] = Field(
        description="By service: what an edit at the failure desk has it work on instead."
    )


class RevealedScheduleView(RevealedView):
    """What a schedule posts."""

    id: str


class RevealedEditView(RevealedView):
    """What an edit would make of a payload, and what the contract says to it."""

    verdict: Verdict
    errors: list[FieldFault] | None

    @classmethod
    def made(cls, kind: str | None, made: Edited) -> Self:
        """The view of an edit."""
        return cls.of(
            revealed_edit(kind, made.payload, made.secret),
            verdict=made.checked.verdict,
            errors=made.checked.errors(),
        )


class RevealedLetterView(RevealedView):
    """A dead letter's payload, and what an edit would make of it."""

    id: int
    task_id: str | None
    edited: RevealedEditView | None = Field(description="Null unless a patch was given.")


class RevealedPlanView(BaseModel):
    """A letter's payload, and what the plan of a redrive sends instead."""

    redrive: int
    letter: int
    before: RevealedView
    after: RevealedView | None = Field(
        description="Null: the plan does not edit it, or not into what the contract accepts."
    )
