"""Tasks: lists, states and timelines."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from waybill_contracts.privacy import mask_addresses
from waybill_gateway.auth import Caller, CallerDep, GuardedRoute
from waybill_gateway.following import MOST_WAIT_SECONDS, WatchesDep, unless_gone, until_ended
from waybill_gateway.http import FieldError, Problem, page_or_problem
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_gateway.tasks.models import (
    ParentView,
    SlotView,
    SubtaskView,
    TaskPage,
    TaskQuery,
    TaskView,
    TimelineEventView,
    TimelineView,
    links_of,
    priority_name,
)
from waybill_ledger import (
    Progress,
    Subtask,
    Task,
    TaskFilter,
    TimelineEntry,
    get_task,
    get_timeline,
    list_tasks,
)

#: Kinds or services that an answer names.
_MOST_NAMED = 50

#: Seconds that a caller waits for the end of a task.
Wait = Annotated[
    float,
    Query(
        ge=0,
        le=MOST_WAIT_SECONDS,
        description="Seconds for which the answer waits for the task to end; a task that has ended is "
        "answered at once.",
    ),
]

router = APIRouter(tags=["tasks"], route_class=GuardedRoute)


@router.get("/v1/tasks")
async def get_tasks(
    resources: ResourcesDep, caller: CallerDep, asked: Annotated[TaskQuery, Query()]
) -> TaskPage:
    """Lists tasks, newest first."""
    wanted = task_filter(resources, caller, asked)
    query = partial(list_tasks, wanted=wanted, limit=asked.limit, cursor=asked.place("tasks"))
    page = await page_or_problem(resources.records.read(query))
    return TaskPage(
        items=[view_of(task) for task in page.tasks], next_cursor=asked.continued("tasks", page.next_cursor)
    )


@router.get("/v1/tasks/{task_id}")
async def get_one_task(
    task_id: UUID,
    request: Request,
    resources: ResourcesDep,
    caller: CallerDep,
    watches: WatchesDep,
    wait: Wait = 0,
) -> TaskView:
    """Shows a task and the state of its subtasks; with `wait`, once it has ended or that time is over."""
    if wait:
        task = await unless_gone(request, until_ended(watches, caller, str(task_id), wait))
        if task is None:
            raise no_such_task()
    else:
        task = await find_task(resources, caller, task_id)
    view = view_of(task)
    view.links.watch = resources.links.path(task.id, caller.key_id, resources.records.now())
    return view


@router.get("/v1/tasks/{task_id}/timeline")
async def get_task_timeline(task_id: UUID, resources: ResourcesDep, caller: CallerDep) -> TimelineView:
    """Shows all events of a task, in order."""
    task = await find_task(resources, caller, task_id)
    entries = await resources.records.read(partial(get_timeline, task_id=task.id))
    events = [_accepted(task.created_at, task.due_at), *map(_timeline_event, entries)]
    return TimelineView(task_id=task.id, events=events)


def task_filter(resources: Resources, caller: Caller, asked: TaskQuery) -> TaskFilter:
    """The filter for the tasks of a call.

    Raises:
        Problem: 422, there is no such kind or service, or `person` is no address.
    """
    registry = resources.kinds.current
    _require_one_of("kind", asked.kind, registry.kinds)
    _require_one_of("service", asked.service, registry.services)
    return TaskFilter(
        id=asked.id,
        tenant=caller.sees,
        state=asked.state,
        kind=asked.kind,
        service=asked.service,
        schedule=None if asked.schedule is None else str(asked.schedule),
        parent=None if asked.parent is None else str(asked.parent),
        since=asked.since,
        until=asked.until,
        newest=asked.newest,
        q=asked.q,
        person=None if asked.person is None else person_of(resources, asked.person, field="person"),
        q_person=None if asked.q is None else resources.persons.asked_for(asked.q),
    )


async def find_task(resources: Resources, caller: Caller, task_id: UUID) -> Task:
    """The task of this id.

    Raises:
        Problem: 404, the caller may see no task of this id.
    """
    task = await resources.records.read(partial(get_task, task_id=str(task_id), tenant=caller.sees))
    if task is None:
        raise no_such_task()
    return task


def no_such_task() -> Problem:
    """The answer to an unknown id of a task."""
    return Problem(
        HTTPStatus.NOT_FOUND,
        "no_such_task",
        "There is no task of this id: it was never accepted, or it was pruned.",
    )


def person_of(resources: Resources, address: str, *, field: str) -> str:
    """The digest of the person with this address, from the field `field`.

    Raises:
        Problem: 422, it is no mail address.
    """
    person = resources.persons.asked_for(address)
    if person is None:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "no_address",
            "Persons are found by their whole mail address.",
            errors=[FieldError(field=field, message="is no mail address")],
        )
    return person


def view_of(task: Task) -> TaskView:
    """The view of a task."""
    subtasks = [_subtask(subtask, task.progress.get(subtask.service)) for subtask in task.subtasks]
    return TaskView(
        id=task.id,
        kind=task.kind,
        state=task.state,
        created_at=task.created_at,
        due_at=task.due_at,
        completed_at=task.completed_at,
        correlation_id=task.correlation_id,
        trace_id=task.trace_id,
        # Older tasks were accepted without masking.
        about=mask_addresses(task.about),
        priority=priority_name(task.priority),
        schedule=_slot(task),
        parent=_parent(task),
        children=task.children,
        erased_at=task.erased_at,
        subtasks=subtasks,
        links=links_of(task.id),
    )


def _parent(task: Task) -> ParentView | None:
    if task.parent_id is None or task.parent_service is None:
        return None
    return ParentView(id=task.parent_id, service=task.parent_service)


def _subtask(subtask: Subtask, progress: Progress | None) -> SubtaskView:
    return SubtaskView.model_validate(
        asdict(subtask) | {"progress": None if progress is None else asdict(progress)}
    )


def _slot(task: Task) -> SlotView | None:
    if task.schedule_id is None or task.slot_at is None:
        return None
    return SlotView(id=task.schedule_id, slot=task.slot_at)


def _accepted(created_at: datetime, due_at: datetime | None) -> TimelineEventView:
    details = {"due_at": due_at.isoformat()} if due_at else {}
    return TimelineEventView(
        type="task.accepted", at=created_at, service=None, attempt=None, redrive_no=None, details=details
    )


def _timeline_event(entry: TimelineEntry) -> TimelineEventView:
    return TimelineEventView.model_validate(asdict(entry))


def _require_one_of(field: str, value: str | None, known: Collection[str]) -> None:
    if value is not None and value not in known:
        names = ", ".join(sorted(known)[:_MOST_NAMED]) + (", …" if len(known) > _MOST_NAMED else "")
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"unknown_{field}",
            f"There is no such {field}. Known: {names}.",
            errors=[FieldError(field=field, message=f"one of: {names}")],
        )
