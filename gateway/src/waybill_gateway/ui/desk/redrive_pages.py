"""Redrives: planned from what was seen, read as a dry run, started with a canary, watched to their end."""

from typing import Annotated, Any, Final

from fastapi import Path, Query, Response

from waybill_gateway.auth import CallerDep
from waybill_gateway.desk import (
    ItemQuery,
    LetterId,
    PlanRedrive,
    RedriveQuery,
    StartRedrive,
    SteerRedrive,
    redrive_routes,
)
from waybill_gateway.http import read_json
from waybill_gateway.reveals import RevealReason
from waybill_gateway.reveals import routes as reveals
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.ui.frame import PageDep, SubmittedDep, body_of, numbers, pages_router
from waybill_ledger.deadletters import RedriveState

router = pages_router()

#: Letters on the page of a redrive.
ITEMS: Final = 25
#: Seconds after which the page of a redrive that is under way renews itself.
LIVE_SECONDS: Final = 1
#: States in which nothing more happens by itself.
_STILL: Final = frozenset({RedriveState.PLANNED, RedriveState.COMPLETED, RedriveState.CANCELLED})

_RedriveId = Annotated[LetterId, Path()]


@router.get("/ui/redrives", name="get_redrives")
async def show_redrives(
    page: PageDep, resources: ResourcesDep, caller: CallerDep, asked: Annotated[RedriveQuery, Query()]
) -> Response:
    """Shows redrives, the latest plan first."""
    found = await redrive_routes.get_redrives(resources, caller, asked)
    return page.render(
        "desk/redrives.html",
        asked=asked,
        states=list(RedriveState),
        redrives=found.items,
        following=found.next_cursor and page.here(cursor=found.next_cursor),
    )


@router.post("/ui/redrives", name="plan_redrive")
async def plan_redrive(sent: SubmittedDep) -> Response:
    """Plans a redrive of a group, or of letters by their numbers; nothing is sent."""
    plan = body_of(PlanRedrive, _planned(sent.form))
    made = await redrive_routes.plan_redrive(plan, Response(), sent.resources, sent.caller, sent.actor)
    return sent.page.redirect(f"/ui/redrives/{made.id}")


@router.get("/ui/redrives/{redrive_id}", name="get_one_redrive")
async def show_redrive(
    redrive_id: _RedriveId,
    page: PageDep,
    resources: ResourcesDep,
    caller: CallerDep,
    asked: Annotated[ItemQuery, Query()],
) -> Response:
    """Shows a redrive: its dry run before the start, its outcomes after it."""
    redrive = await redrive_routes.get_one_redrive(redrive_id, resources, caller)
    wanted = asked.model_copy(update={"limit": ITEMS})
    items = await redrive_routes.get_redrive_letters(redrive_id, resources, caller, wanted)
    return page.render(
        "desk/redrive.html",
        redrive=redrive,
        items=items.items,
        following=items.next_cursor and page.here(cursor=items.next_cursor),
        filtered=[each.value for each in (asked.state, asked.verdict, asked.effect) if each is not None],
        live_seconds=None if redrive.state in _STILL else LIVE_SECONDS,
    )


@router.post("/ui/redrives/{redrive_id}/start", name="start_redrive")
async def start_redrive(redrive_id: _RedriveId, sent: SubmittedDep) -> Response:
    """Starts exactly what the page showed: the form has the hash of the plan."""
    start = body_of(StartRedrive, sent.form)
    await redrive_routes.start_redrive(redrive_id, start, sent.resources, sent.caller, sent.actor)
    return sent.page.redirect(f"/ui/redrives/{redrive_id}")


@router.post("/ui/redrives/{redrive_id}/pause", name="pause_redrive")
async def pause_redrive(redrive_id: _RedriveId, sent: SubmittedDep) -> Response:
    """Pauses a redrive."""
    await redrive_routes.pause_redrive(
        redrive_id, body_of(SteerRedrive, sent.form), sent.resources, sent.caller, sent.actor
    )
    return sent.page.redirect(f"/ui/redrives/{redrive_id}")


@router.post("/ui/redrives/{redrive_id}/resume", name="resume_redrive")
async def resume_redrive(redrive_id: _RedriveId, sent: SubmittedDep) -> Response:
    """Resumes a redrive that is paused or halted."""
    await redrive_routes.resume_redrive(
        redrive_id, body_of(SteerRedrive, sent.form), sent.resources, sent.caller, sent.actor
    )
    return sent.page.redirect(f"/ui/redrives/{redrive_id}")


@router.post("/ui/redrives/{redrive_id}/cancel", name="cancel_redrive")
async def cancel_redrive(redrive_id: _RedriveId, sent: SubmittedDep) -> Response:
    """Cancels a redrive: letters that were not sent are free again."""
    await redrive_routes.cancel_redrive(
        redrive_id, body_of(SteerRedrive, sent.form), sent.resources, sent.caller, sent.actor
    )
    return sent.page.redirect(f"/ui/redrives/{redrive_id}")


@router.post("/ui/redrives/{redrive_id}/letters/{letter_id}/reveal", name="reveal_planned_letter")
async def reveal_planned_letter(
    redrive_id: _RedriveId, letter_id: Annotated[LetterId, Path()], sent: SubmittedDep
) -> Response:
    """Shows once what a letter holds, and what the plan sends instead; who saw it and why is recorded."""
    reason = body_of(RevealReason, sent.form)
    seen = await reveals.reveal_planned_letter(
        redrive_id, letter_id, reason, Response(), sent.resources, sent.caller, sent.actor
    )
    return sent.page.render(
        "revealed.html",
        what=f"letter {letter_id} of redrive {redrive_id}",
        back=f"/ui/redrives/{redrive_id}",
        seen=seen.before,
        edited={} if seen.after is None else {"its service": seen.after},
        reason=reason.reason,
    )


def _planned(form: dict[str, str]) -> dict[str, Any]:
    """The body of `POST /v1/redrives` that a form stands for."""
    selection: dict[str, Any] = {}
    if "group" in form:
        selection["filter"] = {"group": form["group"]}
    if "ids" in form:
        ids = form["ids"].split()
        selection["ids"] = [int(each) if each.isdecimal() else each for each in ids]
    if "patch" in form:
        selection["edits"] = [{"patch": _patch(form["patch"])}]
    note = {"note": form["note"]} if "note" in form else {}
    return selection | numbers(form, rate=float, canary=int) | note


def _patch(text: str) -> Any:
    """A JSON Patch, as it was written; what is no JSON stays text, to be refused in the words of the API."""
    try:
        return read_json(text)
    except ValueError:
        return text
