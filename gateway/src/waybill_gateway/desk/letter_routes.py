"""The failure desk: dead letters, single ones and many at once."""

from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from waybill_gateway.auth import Actor, Caller, CallerDep, GuardedJsonRoute
from waybill_gateway.desk.audit_routes import get_audit
from waybill_gateway.desk.letter_views import (
    AuditPageView,
    ChangedView,
    LetterPageView,
    LetterView,
    PreviewView,
    WholeLetterView,
)
from waybill_gateway.desk.models import (
    AuditQuery,
    CloseLetters,
    LetterFilterQuery,
    LetterId,
    LetterQuery,
    Preview,
    RestoreLetters,
)
from waybill_gateway.desk.selection import (
    JSON_LINES,
    STREAMED_LINES,
    json_lines,
    letter_filter,
    selected,
)
from waybill_gateway.http import Problem, page_or_problem
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_ledger.access import redacted_payload
from waybill_ledger.deadletters import LetterState
from waybill_ledger.deadletters.letters import (
    LetterFilter,
    Message,
    Move,
    letter_detail,
    list_letters,
    message_of,
    move,
    next_letter_details,
    would_move,
)
from waybill_ledger.deadletters.redrives import edited

router = APIRouter(tags=["failure desk"], route_class=GuardedJsonRoute)

#: Letters in memory at once during an export: each may have a megabyte.
EXPORT_PAGE = 50

_LetterId = Annotated[LetterId, Path()]


@router.get("/v1/dead-letters")
async def get_dead_letters(
    resources: ResourcesDep, caller: CallerDep, asked: Annotated[LetterQuery, Query()]
) -> LetterPageView:
    """Lists letters, newest first."""
    wanted = letter_filter(caller, asked, state=asked.state, task=asked.task)
    page = await page_or_problem(
        resources.records.read(
            partial(list_letters, wanted=wanted, limit=asked.limit, cursor=asked.place("letters"))
        )
    )
    return LetterPageView(
        items=[LetterView.of(row) for row in page.letters],
        next_cursor=asked.continued("letters", page.next_cursor),
    )


@router.get("/v1/dead-letters/export", responses=STREAMED_LINES, response_class=StreamingResponse)
async def export_dead_letters(
    resources: ResourcesDep, caller: CallerDep, asked: Annotated[LetterFilterQuery, Query()]
) -> StreamingResponse:
    """Streams letters with all details as JSON lines, oldest first."""
    return export(resources, letter_filter(caller, asked, state=asked.state, task=asked.task))


@router.get("/v1/dead-letters/audit")
async def get_desk_audit(
    resources: ResourcesDep, caller: CallerDep, asked: Annotated[AuditQuery, Query()]
) -> AuditPageView:
    """Lists the audit trail; the former path of `/v1/audit`."""
    return await get_audit(resources, caller, asked)


@router.post("/v1/dead-letters/discard")
async def discard_dead_letters(
    posted: CloseLetters, resources: ResourcesDep, caller: CallerDep, actor: Actor
) -> ChangedView:
    """Discards letters that are dead; they can be restored for a time, and are then deleted."""
    days = resources.settings.discarded_days
    return await _archive_or_discard(
        resources, caller, posted, actor, LetterState.DISCARDED, timedelta(days=days)
    )


@router.post("/v1/dead-letters/archive")
async def archive_dead_letters(
    posted: CloseLetters, resources: ResourcesDep, caller: CallerDep, actor: Actor
) -> ChangedView:
    """Archives letters that are dead; they are kept and can be restored for a longer time."""
    days = resources.settings.archived_days
    return await _archive_or_discard(
        resources, caller, posted, actor, LetterState.ARCHIVED, timedelta(days=days)
    )


@router.post("/v1/dead-letters/restore")
async def restore_dead_letters(
    posted: RestoreLetters, resources: ResourcesDep, caller: CallerDep, actor: Actor
) -> ChangedView:
    """Restores discarded or archived letters: they are dead again."""
    wish = Move(selected(caller, posted), LetterState.DEAD, actor, resources.records.now(), posted.reason)
    return ChangedView(changed=await move(resources.records, wish), restorable_until=None)


@router.get("/v1/dead-letters/{letter_id}")
async def get_dead_letter(
    letter_id: _LetterId, resources: ResourcesDep, caller: CallerDep
) -> WholeLetterView:
    """Shows one letter with all details, and the outcome of each of its redrives."""
    row = await resources.records.read(
        partial(letter_detail, letter_id=letter_id, registry=resources.kinds.current, tenant=caller.sees)
    )
    if row is None:
        raise no_such_letter()
    return WholeLetterView.of(row)


@router.post("/v1/dead-letters/{letter_id}/preview")
async def preview_edit(
    letter_id: _LetterId, posted: Preview, resources: ResourcesDep, caller: CallerDep
) -> PreviewView:
    """Shows the result of an edit of a letter's payload, and its check by the contract."""
    message = await resources.records.read(partial(message_of, letter_id=letter_id, tenant=caller.sees))
    if message is None:
        raise no_such_letter()
    made = edited(Message.of(message), posted.patch, resources.gate)
    return PreviewView.model_validate(
        {
            "verdict": made.checked.verdict,
            "errors": made.checked.errors(),
            "payload": redacted_payload(
                made.payload,
                made.sensitive | resources.kinds.current.sensitive(message.kind),
                touched=made.touched,
            ),
        }
    )


def export(resources: Resources, wanted: LetterFilter) -> StreamingResponse:
    """A stream of letters as JSON lines."""

    async def next_rows(after: int) -> tuple[list[dict[str, Any]], int]:
        query = partial(
            next_letter_details,
            wanted=wanted,
            registry=resources.kinds.current,
            after=after,
            limit=EXPORT_PAGE,
        )
        rows = await resources.records.read(query)
        views = [WholeLetterView.of(row).model_dump(mode="json") for row in rows]
        return views, rows[-1]["id"] if rows else after

    return StreamingResponse(json_lines(next_rows, 0), media_type=JSON_LINES)


def no_such_letter() -> Problem:
    """The answer to an unknown id of a letter."""
    return Problem(
        HTTPStatus.NOT_FOUND, "no_such_letter", "There is no dead letter of this id, or it was deleted."
    )


async def _archive_or_discard(
    resources: Resources,
    caller: Caller,
    posted: CloseLetters,
    actor: str,
    target: LetterState,
    keep_for: timedelta,
) -> ChangedView:
    now = resources.records.now()
    wish = Move(selected(caller, posted), target, actor, now, posted.reason, now + keep_for)
    if posted.dry_run:
        changed = await resources.records.read(partial(would_move, request=wish))
    else:
        changed = await move(resources.records, wish)
    return ChangedView(changed=changed, restorable_until=wish.restorable_until)
