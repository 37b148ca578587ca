"""One task: where it is and why, what it did and when, what may be done about it."""

from functools import partial
from typing import Annotated, Final
from uuid import UUID

from fastapi import Query, Response

from waybill_gateway.auth import Caller, CallerDep
from waybill_gateway.desk import LetterQuery, letter_routes
from waybill_gateway.reveals import RevealReason
from waybill_gateway.reveals import routes as reveals
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_gateway.tasks import TaskQuery, TaskView, cancellation_routes
from waybill_gateway.tasks import routes as api
from waybill_gateway.ui.frame import Page, PageDep, SubmittedDep, body_of, pages_router
from waybill_gateway.ui.tasks.reasons import Facts, reasons
from waybill_gateway.ui.tasks.waterfall import waterfall
from waybill_ledger import open_work
from waybill_ledger.access import masked_payload
from waybill_ledger.deadletters import LetterState
from waybill_ledger.outbox import unpublished_of

router = pages_router()

#: Tasks that it spawned, and letters of it, that its page lists.
MOST_LISTED: Final = 20
#: Seconds after which the page of a task without an outcome renews itself.
LIVE_SECONDS: Final = 3

_Notice = Annotated[str | None, Query(pattern="^(prevented|stopping)$")]


@router.get("/ui/tasks/{task_id}", name="get_one_task")
async def show_task(
    task_id: UUID, page: PageDep, resources: ResourcesDep, caller: CallerDep, notice: _Notice = None
) -> Response:
    """Shows a task."""
    task = await _task(resources, caller, task_id)
    timeline = await api.get_task_timeline(task_id, resources, caller)
    letters = await letter_routes.get_dead_letters(
        resources, caller, LetterQuery(task=task.id, limit=MOST_LISTED)
    )
    children = None
    if task.children:
        children = await api.get_tasks(resources, caller, TaskQuery(parent=task_id, limit=MOST_LISTED))
    payload = await resources.records.read(
        partial(masked_payload, task_id=task.id, registry=resources.kinds.current, tenant=caller.sees)
    )
    return page.render(
        "tasks/task.html",
        task=task,
        reasons=reasons(task, await _facts(page, resources, caller, task)),
        waterfall=waterfall(task, timeline.events, page.now),
        events=timeline.events,
        letters=letters.items,
        dead=[letter.id for letter in letters.items if letter.state is LetterState.DEAD],
        children=children,
        payload=payload,
        notice=notice,
        live_seconds=None if task.state.is_terminal else LIVE_SECONDS,
    )


@router.post("/ui/tasks/{task_id}/cancel", name="cancel_task")
async def cancel_task(task_id: UUID, page: PageDep, resources: ResourcesDep, caller: CallerDep) -> Response:
    """Cancels a task."""
    cancelled = await cancellation_routes.cancel_task(task_id, resources, caller)
    return page.redirect(f"/ui/tasks/{task_id}", notice=cancelled.outcome)


@router.post("/ui/tasks/{task_id}/reveal", name="reveal_task")
async def reveal_task(task_id: UUID, sent: SubmittedDep) -> Response:
    """Shows the sealed data of a task once; who saw it and why is recorded."""
    reason = body_of(RevealReason, sent.form)
    seen = await reveals.reveal_task(task_id, reason, Response(), sent.resources, sent.caller, sent.actor)
    return sent.page.render(
        "revealed.html",
        what=f"task {task_id}",
        back=f"/ui/tasks/{task_id}",
        seen=seen,
        edited=seen.edited,
        reason=reason.reason,
    )


async def _task(resources: Resources, caller: Caller, task_id: UUID) -> TaskView:
    return api.view_of(await api.find_task(resources, caller, task_id))


async def _facts(page: Page, resources: Resources, caller: Caller, task: TaskView) -> Facts:
    """What helps to say why a task has not ended; nothing is read for one that has."""
    is_open = not task.state.is_terminal
    read = resources.records.read
    return Facts(
        now=page.now,
        registry=resources.kinds.current,
        unpublished=await read(partial(unpublished_of, task_id=task.id)) if is_open else (),
        work=await read(partial(open_work, tenant=caller.sees)) if is_open else (),
        broker_is_connected=resources.relay.is_connected,
    )
