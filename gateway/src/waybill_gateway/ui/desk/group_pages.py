"""Groups of dead letters with the same failure: the list, one group, what may be done with all of it."""

from typing import Annotated, Final

from fastapi import Path, Query, Response

from waybill_gateway.auth import CallerDep
from waybill_gateway.desk import GroupNote, GroupQuery, GroupReason, LetterQuery, group_routes, letter_routes
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.ui.frame import PageDep, SubmittedDep, body_of, pages_router
from waybill_ledger.deadletters import GroupState, LetterState

router = pages_router()

#: Letters on the page of a group.
LETTERS: Final = 25
#: Seconds after which the pages renew themselves.
LIVE_SECONDS: Final = 10

_GroupId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
_Notice = Annotated[str | None, Query(pattern="^(noted|archived|restored)$")]
_Cursor = Annotated[str | None, Query(max_length=500)]


@router.get("/ui/failures", name="get_dead_letter_groups")
async def show_groups(
    page: PageDep, resources: ResourcesDep, caller: CallerDep, asked: Annotated[GroupQuery, Query()]
) -> Response:
    """Shows groups, those with the latest failure first."""
    found = await group_routes.get_dead_letter_groups(resources, caller, asked)
    registry = resources.kinds.current
    return page.render(
        "desk/groups.html",
        asked=asked,
        groups=found.items,
        following=found.next_cursor and page.here(cursor=found.next_cursor),
        states=list(GroupState),
        kinds=sorted(registry.kinds),
        services=sorted(registry.services),
        is_filtered=bool(asked.model_dump(exclude={"limit", "cursor"}, exclude_none=True)),
        live_seconds=LIVE_SECONDS,
    )


@router.get("/ui/failures/{group}", name="get_dead_letter_group")
async def show_group(
    group: _GroupId,
    page: PageDep,
    resources: ResourcesDep,
    caller: CallerDep,
    state: LetterState | None = None,
    cursor: _Cursor = None,
    notice: _Notice = None,
) -> Response:
    """Shows a group and its letters."""
    found = await group_routes.get_dead_letter_group(group, resources, caller)
    letters = await letter_routes.get_dead_letters(
        resources, caller, LetterQuery(group=group, state=state, cursor=cursor, limit=LETTERS)
    )
    return page.render(
        "desk/group.html",
        group=found,
        letters=letters.items,
        following=letters.next_cursor and page.here(cursor=letters.next_cursor, notice=None),
        state_asked=state,
        states=list(LetterState),
        notice=notice,
    )


@router.post("/ui/failures/{group}/note", name="note_dead_letter_group")
async def note_group(group: _GroupId, sent: SubmittedDep) -> Response:
    """Stores a note about a group."""
    note = body_of(GroupNote, {"note": sent.form.get("note", "")})
    await group_routes.note_dead_letter_group(group, note, sent.resources, sent.caller, sent.actor)
    return sent.page.redirect(f"/ui/failures/{group}", notice="noted")


@router.post("/ui/failures/{group}/archive", name="archive_dead_letter_group")
async def archive_group(group: _GroupId, sent: SubmittedDep) -> Response:
    """Archives a group with all its letters that are dead."""
    reason = body_of(GroupReason, sent.form)
    await group_routes.archive_dead_letter_group(group, reason, sent.resources, sent.caller, sent.actor)
    return sent.page.redirect(f"/ui/failures/{group}", notice="archived")


@router.post("/ui/failures/{group}/restore", name="restore_dead_letter_group")
async def restore_group(group: _GroupId, sent: SubmittedDep) -> Response:
    """Restores an archived group."""
    reason = body_of(GroupReason, sent.form)
    await group_routes.restore_dead_letter_group(group, reason, sent.resources, sent.caller, sent.actor)
    return sent.page.redirect(f"/ui/failures/{group}", notice="restored")
