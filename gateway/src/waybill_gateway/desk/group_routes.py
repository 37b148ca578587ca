"""The failure desk: groups of letters with the same failure."""

from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from waybill_gateway.auth import Actor, Caller, CallerDep, GuardedJsonRoute
from waybill_gateway.desk.group_views import GroupPageView, GroupView
from waybill_gateway.desk.letter_routes import export
from waybill_gateway.desk.models import GroupNote, GroupQuery, GroupReason
from waybill_gateway.desk.selection import STREAMED_LINES
from waybill_gateway.http import Problem, page_or_problem
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_ledger.deadletters import LetterState
from waybill_ledger.deadletters.groups import GroupFilter, NewNote, get_group, list_groups, note
from waybill_ledger.deadletters.letters import GroupMove, LetterFilter, Move, mark_group, move

router = APIRouter(tags=["failure desk"], route_class=GuardedJsonRoute)

_GroupId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]


@router.get("/v1/dead-letters/groups")
async def get_dead_letter_groups(
    resources: ResourcesDep, caller: CallerDep, asked: Annotated[GroupQuery, Query()]
) -> GroupPageView:
    """Lists groups, those with the latest dead letter first."""
    wanted = GroupFilter(asked.state, caller.sees, asked.service, asked.kind, asked.q, asked.id)
    query = partial(
        list_groups,
        wanted=wanted,
        now=resources.records.now(),
        limit=asked.limit,
        cursor=asked.place("groups"),
    )
    page = await page_or_problem(resources.records.read(query))
    return GroupPageView(
        items=[GroupView.of(group) for group in page.groups],
        next_cursor=asked.continued("groups", page.next_cursor),
    )


@router.get("/v1/dead-letters/groups/{group}")
async def get_dead_letter_group(group: _GroupId, resources: ResourcesDep, caller: CallerDep) -> GroupView:
    """Shows one group."""
    return await _view(resources, caller, group)


@router.get(
    "/v1/dead-letters/groups/{group}/export",
    responses=STREAMED_LINES,
    response_class=StreamingResponse,
)
async def export_dead_letter_group(
    group: _GroupId, resources: ResourcesDep, caller: CallerDep
) -> StreamingResponse:
    """Streams the letters of a group with all details, as JSON lines."""
    await _view(resources, caller, group)
    return export(resources, LetterFilter(tenant=caller.sees, group=group))


@router.post("/v1/dead-letters/groups/{group}/note")
async def note_dead_letter_group(
    group: _GroupId, posted: GroupNote, resources: ResourcesDep, caller: CallerDep, actor: Actor
) -> GroupView:
    """Stores a note about a group."""
    await resources.records.write(
        note, NewNote(group, posted.note, actor, resources.records.now(), caller.sees)
    )
    return await _view(resources, caller, group)


@router.post("/v1/dead-letters/groups/{group}/archive")
async def archive_dead_letter_group(
    group: _GroupId, posted: GroupReason, resources: ResourcesDep, caller: CallerDep, actor: Actor
) -> GroupView:
    """Archives a group with all its letters that are dead; a new letter makes it `regressed`."""
    await _view(resources, caller, group)
    now = resources.records.now()
    until = now + timedelta(days=resources.settings.archived_days)
    wish = Move(
        LetterFilter(tenant=caller.sees, group=group), LetterState.ARCHIVED, actor, now, posted.reason, until
    )
    await move(resources.records, wish)
    await resources.records.write(mark_group, GroupMove(group, archived=True, at=now))
    return await _view(resources, caller, group)


@router.post("/v1/dead-letters/groups/{group}/restore")
async def restore_dead_letter_group(
    group: _GroupId, posted: GroupReason, resources: ResourcesDep, caller: CallerDep, actor: Actor
) -> GroupView:
    """Restores an archived group: its archived letters are dead again."""
    await _view(resources, caller, group)
    now = resources.records.now()
    archived = LetterFilter(tenant=caller.sees, group=group, state=LetterState.ARCHIVED)
    await move(resources.records, Move(archived, LetterState.DEAD, actor, now, posted.reason))
    await resources.records.write(mark_group, GroupMove(group, archived=False, at=now))
    return await _view(resources, caller, group)


async def _view(resources: Resources, caller: Caller, group: str) -> GroupView:
    found = await resources.records.read(
        partial(get_group, group=group, now=resources.records.now(), tenant=caller.sees)
    )
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, "no_such_group", "There is no group of this id.")
    return GroupView.of(found)
