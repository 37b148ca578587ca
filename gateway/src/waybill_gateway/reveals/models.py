"""Requests and answers of reveals."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from waybill_contracts.registry import Kind
from waybill_gateway.desk import FieldFault, PayloadPatch
from waybill_gateway.http import NOT_BLANK
from waybill_ledger.access import Hidden, Revealed, revealed_edit
from waybill_ledger.deadletters import Verdict
from waybill_ledger.deadletters.redrives import Edited

MAX_REASON = 500


class RevealReason(BaseModel):
    """The reason for a reveal."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "ticket 7: Ann asks"}]}
    )

    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON, pattern=NOT_BLANK)] = Field(
        description="It is written to the audit trail, which shows later why this was revealed."
    )


class RevealLetter(RevealReason):
    """The reason for a reveal, and an edit to try."""

    patch: PayloadPatch | None = Field(
        None,
        description="A JSON Patch (RFC 6902): `edited` shows its result. An empty one "
        "only checks the payload.",
    )


class RevealedView(BaseModel):
    """A payload, its sealed fields opened."""

    kind: str | None
    dataschema: str | None = Field(description="The contract and version that it follows.")
    payload: Any
    body_base64: str | None = Field(description="The body, if it is not JSON.")
    hidden: dict[str, Hidden] = Field(
        description="The fields that stay `[redacted]`, and why: `secret` is never revealed, `unknown` "
        "arrived sealed and is in no contract of this release, `altered` cannot be opened. `body`: the "
        "whole body."
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
    """The payload of a task."""

    id: str
    edited: dict[str, RevealedView] = Field(
        description="By service: its payload after an edit at the failure desk."
    )


class RevealedScheduleView(RevealedView):
    """The body of a schedule."""

    id: str


class RevealedEditView(RevealedView):
    """The result of an edit of a payload, and its check by the contract."""

    verdict: Verdict
    errors: list[FieldFault] | None

    @classmethod
    def made(cls, name: str | None, kind: Kind | None, made: Edited) -> Self:
        """The view of an edit of a payload of the kind of this name, which may not be registered."""
        return cls.of(
            revealed_edit(name, kind, made.dataschema, made.payload, made.secret),
            verdict=made.checked.verdict,
            errors=made.checked.errors(),
        )


class RevealedLetterView(RevealedView):
    """The payload of a dead letter, and the result of an edit."""

    id: int
    task_id: str | None
    edited: RevealedEditView | None = Field(description="Null unless a patch was given.")


class RevealedPlanView(BaseModel):
    """The payload of a letter, and the payload that a redrive would send."""

    redrive: int
    letter: int
    before: RevealedView
    after: RevealedView | None = Field(
        description="Null: the plan does not edit it, or the contract does not accept the result."
    )
