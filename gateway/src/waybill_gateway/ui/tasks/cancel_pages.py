"""Many tasks cancelled together: exactly those that a page has shown, by their ids."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

from fastapi import Query, Response
from pydantic import BaseModel, Field

from waybill_contracts.states import State
from waybill_gateway.auth import Caller, CallerDep, needed_by, require_scope
from waybill_gateway.http import Problem
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_gateway.tasks import TaskQuery, TaskView, cancellation_routes
from waybill_gateway.tasks import routes as api
from waybill_gateway.ui.frame import PageDep, Submitted, SubmittedDep, body_of, pages_router
from waybill_gateway.ui.tasks.list_page import ListQuery, for_the_api

router = pages_router()

#: Tasks that are cancelled together at most.
MOST_CHOSEN: Final = 1_000
_STEP: Final = 500
#: Tasks of a choice that its page lists.
LISTED: Final = 25
#: Cancellations that share commits.
_TOGETHER: Final = 50
_OPEN: Final = tuple(state for state in State if not state.is_terminal)


class Chosen(BaseModel):
    """The tasks to cancel."""

    ids: list[UUID] = Field(min_length=1, max_length=MOST_CHOSEN)


@router.get("/ui/tasks/cancel", name="cancel_task")
async def show_chosen(
    page: PageDep, resources: ResourcesDep, caller: CallerDep, asked: Annotated[ListQuery, Query()]
) -> Response:
    """Shows the open tasks that match now; those that come later are not of them. Nothing is cancelled."""
    require_scope(caller, needed_by("get_tasks"))
    wanted = for_the_api(page, asked)
    chosen, is_all = await _chosen(resources, caller, wanted.model_copy(update={"newest": None}))
    return page.render(
        "tasks/cancel.html",
        tasks=chosen[:LISTED],
        ids=[task.id for task in chosen],
        states=Counter(task.state.value for task in chosen),
        is_all=is_all,
        back=asked.model_dump(mode="json", exclude={"limit", "cursor"}, exclude_none=True),
    )


@router.post("/ui/tasks/cancel", name="cancel_task")
async def cancel_chosen(sent: SubmittedDep) -> Response:
    """Cancels the tasks that were shown, and says what that achieved."""
    ids = body_of(Chosen, {"ids": sent.form.get("ids", "").split()}).ids
    outcomes: list[str] = []
    for begin in range(0, len(ids), _TOGETHER):
        part = ids[begin : begin + _TOGETHER]
        outcomes += await asyncio.gather(*(_cancelled(task_id, sent) for task_id in part))
    return sent.page.render("tasks/cancelled.html", total=len(ids), outcomes=Counter(outcomes))


async def _cancelled(task_id: UUID, sent: Submitted) -> str:
    """What the cancellation of one task achieved; `too_late` and `no_such_task` stop no others."""
    try:
        done = await cancellation_routes.cancel_task(task_id, sent.resources, sent.caller)
    except Problem as problem:
        if problem.code not in {"too_late", "no_such_task"}:
            raise
        return problem.code
    return done.outcome


async def _chosen(resources: Resources, caller: Caller, asked: TaskQuery) -> tuple[Sequence[TaskView], bool]:
    """The newest open tasks that match, and whether these are all."""
    chosen: list[TaskView] = []
    # State by state: an index has the open ones, however many have ended.
    for state in _OPEN if asked.state is None else {asked.state} & set(_OPEN):
        cursor: str | None = None
        while True:
            room = min(_STEP, MOST_CHOSEN - len(chosen))
            if not room:
                return chosen, False
            changes = {"state": state, "limit": room, "cursor": cursor}
            found = await api.get_tasks(resources, caller, asked.model_copy(update=changes))
            chosen += found.items
            if (cursor := found.next_cursor) is None:
                break
    return chosen, True
