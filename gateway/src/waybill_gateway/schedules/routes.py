"""Schedules: tasks that are made again and again."""

from functools import partial
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from waybill_gateway.auth import Caller, CallerDep, GuardedJsonRoute
from waybill_gateway.http import FieldError, Problem, page_or_problem
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.schedules.models import (
    SHOWN_BEHIND,
    ChangeSchedule,
    PostSchedule,
    ScheduleDetails,
    SchedulePageView,
    ScheduleQuery,
    ScheduleView,
)
from waybill_gateway.schedules.plans import (
    changed_plan,
    details_of,
    find_schedule,
    never_due,
    no_such_schedule,
    plan_of,
    view_of,
)
from waybill_gateway.tasks import KeyedPostDep, key_reused
from waybill_ledger import (
    Change,
    ChangedMeanwhileError,
    Created,
    KeyReusedError,
    NameTakenError,
    NeverDueError,
    NewSchedule,
    TaskFilter,
    TooManySchedulesError,
    change_schedules,
    create_schedules,
    delete_schedules,
    list_schedules,
    list_tasks,
    new_task_id,
)
from waybill_ledger.schema import qualified

#: Characters of a name, with that of its tenant unless that is the default one.
MAX_NAME = 100

router = APIRouter(tags=["schedules"], route_class=GuardedJsonRoute)


@router.post(
    "/v1/schedules",
    status_code=HTTPStatus.CREATED,
)
async def post_schedule(posted: PostSchedule, post: KeyedPostDep) -> ScheduleView:
    """Makes a schedule: each of its slots makes a task.

    Tasks of each kind can be scheduled that need neither a file nor a secret. The body is their data.
    """
    resources, caller = post.resources, post.caller
    schedule_id = new_task_id()
    plan = await plan_of(posted, resources, schedule_id)
    call = post.keyed_call(posted.model_dump_json)
    _require_fitting(caller, plan.name)
    with resources.calls.only(call):
        now = resources.records.now()
        wish = NewSchedule(schedule_id, plan, now, resources.settings.max_schedules, call, caller.tenant)
        made = await resources.records.write(create_schedules, wish)
    if isinstance(made, KeyReusedError):
        raise key_reused(made)
    if isinstance(made, NeverDueError):
        raise never_due()
    if isinstance(made, NameTakenError):
        message = "another schedule has this name"
        raise Problem(
            HTTPStatus.CONFLICT,
            "name_taken",
            f"There is a schedule {plan.name} already. Change that one, or choose another name.",
            errors=[FieldError(field="name", message=message)],
        )
    if isinstance(made, TooManySchedulesError):
        raise Problem(
            HTTPStatus.CONFLICT,
            "too_many_schedules",
            f"There are {wish.most:,} schedules, which is the limit. Delete one, or have the limit raised.",
        )
    if not isinstance(made, Created):
        post.headers["Idempotent-Replayed"] = "true"
    if made.schedule is None:
        raise Problem(
            HTTPStatus.GONE, "schedule_deleted", "This call made a schedule that has been deleted since."
        )
    view = view_of(made.schedule, resources.kinds.current)
    post.headers["Location"] = view.links.self
    return view


@router.get("/v1/schedules")
async def get_schedules(
    resources: ResourcesDep, caller: CallerDep, asked: Annotated[ScheduleQuery, Query()]
) -> SchedulePageView:
    """Lists schedules, newest first."""
    query = partial(
        list_schedules,
        name=asked.name,
        limit=asked.limit,
        cursor=asked.place("schedules"),
        tenant=caller.sees,
        beginning=asked.id,
    )
    page = await page_or_problem(resources.records.read(query))
    return SchedulePageView(
        items=[view_of(each, resources.kinds.current) for each in page.schedules],
        next_cursor=asked.continued("schedules", page.next_cursor),
    )


@router.get("/v1/schedules/{schedule_id}")
async def get_one_schedule(schedule_id: UUID, resources: ResourcesDep, caller: CallerDep) -> ScheduleDetails:
    """Shows a schedule, its next slots and its last tasks."""
    schedule = await find_schedule(resources, caller, schedule_id)
    made_by_it = TaskFilter(schedule=schedule.id, tenant=caller.sees)
    page = await resources.records.read(
        partial(list_tasks, wanted=made_by_it, limit=SHOWN_BEHIND, cursor=None)
    )
    return details_of(schedule, resources.kinds.current, page.tasks)


@router.patch(
    "/v1/schedules/{schedule_id}",
)
async def change_schedule(
    schedule_id: UUID, posted: ChangeSchedule, resources: ResourcesDep, caller: CallerDep
) -> ScheduleView:
    """Changes, pauses or resumes a schedule.

    Its existing tasks do not change. Slots that pass while it is paused are not run later.
    """
    schedule = await find_schedule(resources, caller, schedule_id)
    plan = await changed_plan(schedule, posted, resources)
    change = Change(schedule.id, schedule.version, plan, resources.records.now())
    after = await resources.records.write(change_schedules, change)
    if isinstance(after, NeverDueError):
        raise never_due()
    if isinstance(after, ChangedMeanwhileError):
        raise Problem(
            HTTPStatus.CONFLICT,
            "changed_meanwhile",
            "Another call changed or deleted this schedule just now. Read it again, and repeat your change.",
        )
    return view_of(after, resources.kinds.current)


@router.delete("/v1/schedules/{schedule_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete_schedule(schedule_id: UUID, resources: ResourcesDep, caller: CallerDep) -> None:
    """Deletes a schedule. Its tasks stay, and are found by its id."""
    await find_schedule(resources, caller, schedule_id)
    if not await resources.records.write(delete_schedules, str(schedule_id)):
        raise no_such_schedule()


def _require_fitting(caller: Caller, name: str) -> None:
    """Refuses a name that is too long to be stored with that of its tenant."""
    longest = MAX_NAME - len(qualified(caller.tenant, ""))
    if len(name) > longest:
        message = f"at most {longest} characters"
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "name_too_long",
            f"Names of this tenant's schedules have {message}.",
            errors=[FieldError(field="name", message=message)],
        )
