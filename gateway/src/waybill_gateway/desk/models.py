"""Requests to the failure desk."""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from waybill_gateway.http import (
    MAX_INTEGER,
    Beginning,
    Moment,
    Number,
    Paged,
    Search,
    Text,
    Truth,
    Whole,
    Word,
)
from waybill_ledger.deadletters import (
    Effect,
    GroupState,
    ItemState,
    LetterState,
    RedriveState,
    Verdict,
)
from waybill_ledger.deadletters.redrives import BadPatchError, require_patch

#: Letters that a call may name by id.
MAX_IDS = 10_000
#: Edits in one plan.
MAX_EDITS = 1_000
#: Id of a letter or redrive.
LetterId = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
LetterIds = Annotated[
    list[Annotated[Whole, Field(ge=1, le=MAX_INTEGER)]], Field(min_length=1, max_length=MAX_IDS)
]
#: The reason for an action, for readers of the audit trail.
Reason = Annotated[Text, Field(min_length=1, max_length=2000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Filter(_Strict):
    """Filters of letters: a letter must match all that are given."""

    group: Word | None = None
    service: Word | None = None
    kind: Word | None = None
    error_type: Word | None = None
    reason: Word | None = Field(
        None, description="Why it is dead: `permanent`, `exhausted`, `delivery_limit` …"
    )
    verdict: Verdict | None = None
    since: Moment | None = Field(None, description="Dead since this time or later.")
    until: Moment | None = Field(None, description="Dead since before this time.")
    q: Search | None = Field(
        None, description="Part of the error message, or the first characters of a task id or correlation id."
    )


class LetterFilterQuery(Filter):
    """Filters of letters in lists."""

    state: LetterState | None = None
    task: Word | None = Field(None, description="The id of a task, or its first characters.")


class LetterQuery(LetterFilterQuery, Paged):
    """Filters and page of the list of letters."""


class GroupQuery(Paged):
    """Filters and page of the list of groups."""

    id: Beginning | None = Field(None, description="The first characters of its id.")
    state: GroupState | None = None
    service: Word | None = None
    kind: Word | None = None
    q: Search | None = Field(None, description="Part of the error message or error type.")


class RedriveQuery(Paged):
    """Filters and page of the list of redrives."""

    state: RedriveState | None = None


class ItemQuery(Paged):
    """Filters and page of the list of a redrive's letters."""

    state: ItemState | None = None
    verdict: Verdict | None = None
    effect: Effect | None = None


class AuditQuery(Paged):
    """Filters and page of the audit trail."""

    actor: Word | None = None
    action: Word | None = None
    redrive: LetterId | None = None
    group: Word | None = None
    subject: UUID | None = Field(
        None, description="Id of a task or schedule: its reveals, and those of its letters."
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
            raise ValueError(
                "the filter is empty, which would select all letters: give at least one condition"
            )
        return self


class CloseLetters(Selection):
    """Letters to discard or archive."""

    reason: Reason
    dry_run: Truth = Field(default=False, description="Only count in `changed` how many would change.")


class RestoreLetters(Selection):
    """Letters to restore."""

    reason: Reason | None = None


class GroupNote(_Strict):
    """A note about a group."""

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
    """A patch, and the letters that it changes; all of the plan if no ids are given."""

    ids: LetterIds | None = None


class PlanRedrive(Selection):
    """The plan of a redrive. Nothing is sent before its start."""

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
        5,
        ge=0,
        le=1000,
        description="Letters that are sent first; the others wait for their outcomes; 0: none.",
    )
    note: Reason | None = None


class StartRedrive(_Strict):
    """The hash of the plan that the caller has seen."""

    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SteerRedrive(_Strict):
    """The reason to pause, resume or cancel a redrive."""

    reason: Reason | None = None
