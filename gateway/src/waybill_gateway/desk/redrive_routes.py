"""The failure desk: redrives, from plan to end."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from waybill_gateway.auth import Actor, Caller, CallerDep, GuardedJsonRoute
from waybill_gateway.desk.models import (
    ItemQuery,
    LetterId,
    PlanRedrive,
    RedriveQuery,
    StartRedrive,
    SteerRedrive,
)
from waybill_gateway.desk.redrive_views import ItemPageView, ItemView, RedrivePageView, RedriveView
from waybill_gateway.desk.selection import as_asked, selected
from waybill_gateway.http import FieldError, Problem, page_or_problem
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_ledger.deadletters.redrives import (
    Edit,
    ItemFilter,
    NewRedrive,
    NothingSelectedError,
    Refused,
    Start,
    Steer,
    TooManyLettersError,
    get_redrive,
    list_items,
    list_redrives,
    make_redrive,
    start,
    steer,
)

router = APIRouter(tags=["failure desk"], route_class=GuardedJsonRoute)

#: Seconds between two reads of a redrive that a caller watches.
WATCH_SECONDS = 0.5

_RedriveId = Annotated[LetterId, Path()]


@router.post("/v1/redrives", status_code=HTTPStatus.CREATED)
async def plan_redrive(
    posted: PlanRedrive, response: Response, resources: ResourcesDep, caller: CallerDep, actor: Actor
) -> RedriveView:
    """Makes a plan: fixes its letters, and shows what a redrive would do. Nothing is sent."""
    edits = [Edit(edit.patch, None if edit.ids is None else frozenset(edit.ids)) for edit in posted.edits]
    new = NewRedrive(
        wanted=selected(caller, posted),
        edits=edits,
        rate=posted.rate,
        canary=posted.canary,
        note=posted.note,
        actor=actor,
        at=resources.records.now(),
        asked=as_asked(posted, resources.gate.sensitive()),
        gate=resources.gate,
    )
    try:
        redrive_id = await make_redrive(resources.records, new)
    except NothingSelectedError:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "nothing_selected",
            "The selection has no letter that is dead and in no redrive that has started.",
        ) from None
    except TooManyLettersError as error:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "too_many_letters", f"{error}: narrow the filter."
        ) from None
    view = await _view(resources, caller, redrive_id)
    response.headers["Location"] = view.links.self
    return view


@router.get("/v1/redrives")
async def get_redrives(
    resources: ResourcesDep, caller: CallerDep, asked: Annotated[RedriveQuery, Query()]
) -> RedrivePageView:
    """Lists redrives, the latest plan first."""
    query = partial(
        list_redrives,
        state=asked.state,
        limit=asked.limit,
        cursor=asked.place("redrives"),
        tenant=caller.sees,
    )
    page = await page_or_problem(resources.records.read(query))
    return RedrivePageView(
        items=[RedriveView.of(r) for r in page.redrives],
        next_cursor=asked.continued("redrives", page.next_cursor),
    )


@router.get("/v1/redrives/{redrive_id}")
async def get_one_redrive(redrive_id: _RedriveId, resources: ResourcesDep, caller: CallerDep) -> RedriveView:
    """Shows a redrive."""
    return await _view(resources, caller, redrive_id)


@router.get("/v1/redrives/{redrive_id}/letters")
async def get_redrive_letters(
    redrive_id: _RedriveId, resources: ResourcesDep, caller: CallerDep, asked: Annotated[ItemQuery, Query()]
) -> ItemPageView:
    """Lists the letters of a redrive, in the order of sending."""
    await _view(resources, caller, redrive_id)
    wanted = ItemFilter(asked.state, asked.verdict, asked.effect)
    listing = f"letters of redrive {redrive_id}"
    query = partial(
        list_items, redrive_id=redrive_id, wanted=wanted, limit=asked.limit, cursor=asked.place(listing)
    )
    page = await page_or_problem(resources.records.read(query))
    items = [ItemView.model_validate(row) for row in page.items]
    return ItemPageView(items=items, next_cursor=asked.continued(listing, page.next_cursor))


@router.post("/v1/redrives/{redrive_id}/start")
async def start_redrive(
    redrive_id: _RedriveId, posted: StartRedrive, resources: ResourcesDep, caller: CallerDep, actor: Actor
) -> RedriveView:
    """Starts a redrive, of exactly the letters, versions and edits that the hash stands for."""
    await _view(resources, caller, redrive_id)
    wish = Start(redrive_id, posted.hash, actor, resources.records.now())
    _require(await resources.records.write(start, wish))
    return await _view(resources, caller, redrive_id)


@router.post("/v1/redrives/{redrive_id}/pause")
async def pause_redrive(
    redrive_id: _RedriveId, posted: SteerRedrive, resources: ResourcesDep, caller: CallerDep, actor: Actor
) -> RedriveView:
    """Pauses a running redrive: nothing more is sent; messages that were sent are still handled."""
    return await _steer(resources, caller, redrive_id, "pause", posted, actor)


@router.post("/v1/redrives/{redrive_id}/resume")
async def resume_redrive(
    redrive_id: _RedriveId, posted: SteerRedrive, resources: ResourcesDep, caller: CallerDep, actor: Actor
) -> RedriveView:
    """Resumes a redrive that is paused or halted; after a halt it begins with a canary again."""
    return await _steer(resources, caller, redrive_id, "resume", posted, actor)


@router.post("/v1/redrives/{redrive_id}/cancel")
async def cancel_redrive(
    redrive_id: _RedriveId, posted: SteerRedrive, resources: ResourcesDep, caller: CallerDep, actor: Actor
) -> RedriveView:
    """Cancels a redrive: unsent letters are free again; messages that were sent are still handled."""
    return await _steer(resources, caller, redrive_id, "cancel", posted, actor)


async def _watched(redrive_id: _RedriveId, resources: ResourcesDep, caller: CallerDep) -> RedriveView:
    """The redrive to watch; read before the stream begins, so that 404 can still be answered."""
    return await _view(resources, caller, redrive_id)


@router.get("/v1/redrives/{redrive_id}/events", response_class=EventSourceResponse)
async def watch_redrive(
    first: Annotated[RedriveView, Depends(_watched)], resources: ResourcesDep, caller: CallerDep
) -> AsyncIterator[ServerSentEvent]:
    """Streams a redrive as Server-Sent Events: `progress` at each change, `ended` last."""
    shown, view = None, first
    while True:
        if view != shown:
            ended = view.ended_at is not None
            yield ServerSentEvent(data=view, event="ended" if ended else "progress")
            if ended:
                return
            shown = view
        await asyncio.sleep(WATCH_SECONDS)
        view = await _view(resources, caller, first.id)


async def _view(resources: Resources, caller: Caller, redrive_id: int) -> RedriveView:
    found = await resources.records.read(partial(get_redrive, redrive_id=redrive_id, tenant=caller.sees))
    if found is None:
        raise _no_such_redrive()
    return RedriveView.of(found)


async def _steer(
    resources: Resources,
    caller: Caller,
    redrive_id: int,
    action: Literal["pause", "resume", "cancel"],
    posted: SteerRedrive,
    actor: str,
) -> RedriveView:
    await _view(resources, caller, redrive_id)
    wish = Steer(redrive_id, action, actor, resources.records.now(), posted.reason)
    _require(await resources.records.write(steer, wish))
    return await _view(resources, caller, redrive_id)


def _require(refused: Refused | None) -> None:
    if refused is None:
        return
    if refused.code == "no_such_redrive":
        raise _no_such_redrive()
    errors = [FieldError(field="hash", message="differs")] if refused.code == "hash_differs" else []
    raise Problem(HTTPStatus.CONFLICT, refused.code, refused.why, errors=errors)


def _no_such_redrive() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "no_such_redrive", "There is no redrive of this number.")
