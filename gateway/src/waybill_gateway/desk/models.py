"""What the failure desk's part of the API takes."""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from waybill_gateway.http.fields import (
    MAX_INTEGER,
    Beginning,
    Moment,
    Number,
    Search,
    Text,
    Truth,
    Whole,
    Word,
)
from waybill_gateway.http.paging import Paged
from waybill_ledger.deadletters.redrives.edits import BadPatchError, require_patch
from waybill_ledger.deadletters.states import (
    Effect,
    GroupState,
    ItemState,
    LetterState,
    RedriveState,
    Verdict,
)

#: Letters that a call names one by one.
MAX_IDS = 10_000
#: Different edits in one plan.
MAX_EDITS = 1_000
#: Of a letter or redrive.
LetterId = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
LetterIds = Annotated[
    list[Annotated[Whole, Field(ge=1, le=MAX_INTEGER)]], Field(min_length=1, max_length=MAX_IDS)
]
#: Why something is done: for whoever reads the audit trail in half a year.
Reason = Annotated[Text, Field(min_length=1, max_length=2000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Filter(_Strict):
    """Which letters are meant: all that is given must hold."""

    group: Word | None = None
    service: Word | None = None
    kind: Word | None = None
    error_type: Word | None = None
    reason: Word | None = Field(None, description="Why it died: `permanent`, `exhausted`, `delivery_limit` …")
    verdict: Verdict | None = None
    since: Moment | None = Field(None, description="Died at or after this time.")
    until: Moment | None = Field(None, description="Died before this time.")
    q: Search | None = Field(
        None, description="Part of the error message, or the beginning of a task or correlation id."
    )


class LetterFilterQuery(Filter):
    """The same, and what only listings ask for."""

    state: LetterState | None = None
    task: Word | None = Field(None, description="The id of a task, or its beginning.")


class LetterQuery(LetterFilterQuery, Paged):
    """Which letters are listed."""


class GroupQuery(Paged):
    """Which groups are listed."""

    id: Beginning | None = Field(None, description="The beginning of its id.")
    state: GroupState | None = None
    service: Word | None = None
    kind: Word | None = None
    q: Search | None = Field(None, description="Part of the message or of the error's type.")


class RedriveQuery(Paged):
    """Which redrives are listed."""

    state: RedriveState | None = None


class ItemQuery(Paged):
    """Which letters of a redrive are listed."""

    state: ItemState | None = None
    verdict: Verdict | None = None
    effect: Effect | None = None


class AuditQuery(Paged):
    """Which deeds are listed."""

    actor: Word | None = None
    action: Word | None = None
    redrive: LetterId | None = None
    group: Word | None = None
    subject: UUID | None = Field(
        None, description="The id of a task or schedule: who had it, or a letter of it, revealed."
    )
    since: Moment | None = None
    until: Moment | None = None


class Selection(_Strict):
    """Letters by filter or by ids, one of the two."""

    filter: Filter | None = None
    ids: LetterIds | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.filter is None) == (self.ids is None):
            raise ValueError("give filter or ids, one of the two")
        if self.filter is not None and not self.filter.model_dump(exclude_none=True):
            raise ValueError("the filter is empty: name what is meant, or it would be everything")
        return self


class PutAwayLetters(Selection):
    """Letters to be discarded or archived."""

    reason: Reason
    dry_run: Truth = Field(default=False, description="Only tell in `changed` how many it would be.")


class RestoreLetters(Selection):
    """Letters to be made dead again."""

    reason: Reason | None = None


class GroupNote(_Strict):
    """What is to be remembered of a group."""

    note: Annotated[Text, Field(max_length=10_000)]


class GroupReason(_Strict):
    """Why a group is archived or restored."""

    reason: Reason


def _required_patch(patch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        require_patch(patch)
    except BadPatchError as error:
        raise ValueError(str(error)) from None
    return patch


#: A JSON Patch (RFC 6902) of a payload.
PayloadPatch = Annotated[list[dict[str, Any]], AfterValidator(_required_patch)]


class Preview(_Strict):
    """A JSON Patch (RFC 6902) of a letter's payload."""

    patch: PayloadPatch


class PlannedEdit(Preview):
    """A patch, and the letters that it is for; all of the plan if none are named."""

    ids: LetterIds | None = None


class PlanRedrive(Selection):
    """A redrive as it is wanted. Nothing is sent before it is started."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"filter": {"service": "sync"}, "rate": 10, "canary": 5, "note": "crm is back"},
                {
                    "ids": [17],
                    "edits": [{"patch": [{"op": "replace", "path": "/data/city", "value": "London"}]}],
                },
            ]
        }
    )

    edits: list[PlannedEdit] = Field(default_factory=list, max_length=MAX_EDITS)
    rate: Number = Field(10, ge=0.1, le=2000, description="Letters a second.")
    canary: Whole = Field(
        5, ge=0, le=1000, description="So many are sent first, and their outcomes awaited; 0: none."
    )
    note: Reason | None = None


class StartRedrive(_Strict):
    """The hash of the plan as it was seen."""

    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SteerRedrive(_Strict):
    """Why a redrive is paused, resumed or cancelled."""

    reason: Reason | None = None
