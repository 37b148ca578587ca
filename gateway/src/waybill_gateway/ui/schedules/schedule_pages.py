"""Schedules: the list, and one schedule: its next slots, its last tasks, what may be done with it."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from waybill_gateway.auth import CallerDep
from waybill_gateway.reveals import RevealReason
from waybill_gateway.reveals import routes as reveals
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.schedules import ChangeSchedule, ScheduleQuery, routes, run_routes
from waybill_gateway.ui.frame import PageDep, SubmittedDep, body_of, new_mark, pages_router, post_once

router = pages_router()

_Notice = Annotated[str | None, Query(pattern="^(made|paused|resumed)$")]


@router.get("/ui/schedules", name="get_schedules")
async def show_schedules(
    page: PageDep, resources: ResourcesDep, caller: CallerDep, asked: Annotated[ScheduleQuery, Query()]
) -> Response:
    """Shows schedules, newest first."""
    found = await routes.get_schedules(resources, caller, asked)
    return page.render(
        "schedules/list.html",
        schedules=found.items,
        following=found.next_cursor and page.here(cursor=found.next_cursor),
    )


@router.get("/ui/schedules/{schedule_id}", name="get_one_schedule")
async def show_schedule(
    schedule_id: UUID, page: PageDep, resources: ResourcesDep, caller: CallerDep, notice: _Notice = None
) -> Response:
    """Shows a schedule, its next slots and its last tasks."""
    schedule = await routes.get_one_schedule(schedule_id, resources, caller)
    return page.render(
        "schedules/schedule.html",
        schedule=schedule,
        notice=notice,
        mark=new_mark(),
    )


@router.post("/ui/schedules/{schedule_id}/pause", name="change_schedule")
async def pause_schedule(schedule_id: UUID, sent: SubmittedDep) -> Response:
    """Pauses a schedule: it makes no tasks, and no slot counts as missed."""
    change = body_of(ChangeSchedule, {"paused": True})
    await routes.change_schedule(schedule_id, change, sent.resources, sent.caller)
    return sent.page.redirect(f"/ui/schedules/{schedule_id}", notice="paused")


@router.post("/ui/schedules/{schedule_id}/resume", name="change_schedule")
async def resume_schedule(schedule_id: UUID, sent: SubmittedDep) -> Response:
    """Resumes a schedule from its next slot on."""
    change = body_of(ChangeSchedule, {"paused": False})
    await routes.change_schedule(schedule_id, change, sent.resources, sent.caller)
    return sent.page.redirect(f"/ui/schedules/{schedule_id}", notice="resumed")


@router.post("/ui/schedules/{schedule_id}/run", name="run_schedule")
async def run_schedule(schedule_id: UUID, sent: SubmittedDep) -> Response:
    """Makes a task of a schedule now; who sends the form twice makes one."""
    post = post_once(sent, "/v1/schedules/{schedule_id}/run", str(schedule_id))
    accepted = await run_routes.run_schedule(schedule_id, post)
    return sent.page.redirect(f"/ui/tasks/{accepted.id}", notice="accepted")


@router.post("/ui/schedules/{schedule_id}/delete", name="delete_schedule")
async def delete_schedule(schedule_id: UUID, sent: SubmittedDep) -> Response:
    """Deletes a schedule; its tasks stay."""
    await routes.delete_schedule(schedule_id, sent.resources, sent.caller)
    return sent.page.redirect("/ui/schedules")


@router.post("/ui/schedules/{schedule_id}/reveal", name="reveal_schedule")
async def reveal_schedule(schedule_id: UUID, sent: SubmittedDep) -> Response:
    """Shows the sealed data of a schedule once; who saw it and why is recorded."""
    reason = body_of(RevealReason, sent.form)
    seen = await reveals.reveal_schedule(
        schedule_id, reason, Response(), sent.resources, sent.caller, sent.actor
    )
    return sent.page.render(
        "revealed.html",
        what=f"schedule {schedule_id}",
        back=f"/ui/schedules/{schedule_id}",
        seen=seen,
        edited={},
        reason=reason.reason,
    )
