"""Schedules that are run by hand."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter

from waybill_contracts.privacy import SealBrokenError, UnknownKeyError
from waybill_gateway.auth import GuardedRoute
from waybill_gateway.http import Problem
from waybill_gateway.schedules.plans import find_schedule, unopened
from waybill_gateway.tasks import AcceptedTask, KeyedPostDep, Timing, accept_task
from waybill_ledger import ReleaseBatch, UnfitScheduleError, task_beside_slots

router = APIRouter(tags=["schedules"], route_class=GuardedRoute)


@router.post("/v1/schedules/{schedule_id}/run", status_code=HTTPStatus.ACCEPTED)
async def run_schedule(schedule_id: UUID, post: KeyedPostDep) -> AcceptedTask:
    """Makes a task of a schedule now, also of one that is paused; its slots stay as they are.

    The task is listed among those of the schedule, with the time of this call as its slot.
    """
    resources = post.resources
    schedule = await find_schedule(resources, post.caller, schedule_id)
    call = post.keyed_call(lambda: schedule.id)
    with resources.calls.only(call):
        batch = ReleaseBatch(resources.records.now(), 1, resources.keyring, resources.kinds.current)
        try:
            task = task_beside_slots(schedule, batch)
        except (UnknownKeyError, SealBrokenError) as error:
            raise unopened(schedule, error, "Run it later, or send its body again.") from None
        except UnfitScheduleError as error:
            raise Problem(
                HTTPStatus.CONFLICT, "cannot_run", f"No task can be made of this schedule: {error}."
            ) from None
        return await accept_task(post, task, Timing(), call)
