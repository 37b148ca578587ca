"""One task: where it is and why, what it did and when, what may be done about it."""

import asyncio
from functools import partial
from typing import Annotated, Final
from uuid import UUID

from fastapi import Query, Response

from waybill_contracts.registry import Kind
from waybill_gateway.auth import Caller, CallerDep
from waybill_gateway.desk import LetterQuery, letter_routes
from waybill_gateway.reveals import RevealReason
from waybill_gateway.reveals import routes as reveals
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_gateway.tasks import TaskPage, TaskQuery, TaskView, cancellation_routes
from waybill_gateway.tasks import routes as api
from waybill_gateway.ui.frame import Page, PageDep, SubmittedDep, body_of, pages_router
from waybill_gateway.ui.tasks.reasons import Facts, put_off_by, reasons
from waybill_gateway.ui.tasks.waterfall import waterfall
from waybill_ledger import open_work
from waybill_ledger.access import MaskedPayload, masked_payload
from waybill_ledger.deadletters import LetterState
from waybill_ledger.outbox import unpublished_of

router = pages_router()

#: Tasks that it spawned, and letters of it, that its page lists.
MOST_LISTED: Final = 20
#: Seconds after which the page of a task without an outcome renews itself: soon after a change, and later
#: after a twentieth of the time since then, for what has waited an hour does not change within seconds.
LIVE_SECONDS, LIVE_SECONDS_AT_MOST, LIVE_SHARE = 3, 30, 20

_Notice = Annotated[str | None, Query(pattern="^(accepted|prevented|stopping)$")]


@router.get("/ui/tasks/{task_id}", name="get_one_task")
async def show_task(
    task_id: UUID, page: PageDep, resources: ResourcesDep, caller: CallerDep, notice: _Notice = None
) -> Response:
    """Shows a task."""
    task = await _task(resources, caller, task_id)
    read, registry = resources.records.read, resources.kinds.current
    is_open = not task.state.is_terminal
    # Together: each takes a moment, and the page of an open task asks for them again and again.
    timeline, letters, children, payload, unpublished, work = await asyncio.gather(
        api.get_task_timeline(task_id, resources, caller),
        letter_routes.get_dead_letters(resources, caller, LetterQuery(task=task.id, limit=MOST_LISTED)),
        _children(resources, caller, task),
        read(partial(masked_payload, task_id=task.id, registry=registry, tenant=caller.sees)),
        read(partial(unpublished_of, task_id=task.id)) if is_open else _nothing(),
        read(partial(open_work, tenant=caller.sees)) if is_open else _nothing(),
    )
    kind = registry.find(task.kind)
    facts = Facts(
        now=page.now,
        registry=registry,
        unpublished=unpublished,
        work=work,
        broker_is_connected=resources.relay.is_connected,
        version=_version(kind, payload),
        put_off=put_off_by(timeline.events),
    )
    return page.render(
        "tasks/task.html",
        task=task,
        reasons=reasons(task, facts),
        waterfall=waterfall(task, timeline.events, page.now),
        events=timeline.events,
        letters=letters.items,
        dead=[letter.id for letter in letters.items if letter.state is LetterState.DEAD],
        children=children,
        payload=payload,
        may_repeat=kind is not None and not kind.is_retired,
        notice=notice,
        live_seconds=_live_seconds(page, task) if is_open else None,
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


def _live_seconds(page: Page, task: TaskView) -> int:
    changed = max([task.created_at, *(part.updated_at for part in task.subtasks)])
    share = int((page.now - changed).total_seconds()) // LIVE_SHARE
    return min(max(LIVE_SECONDS, share), LIVE_SECONDS_AT_MOST)


async def _children(resources: Resources, caller: Caller, task: TaskView) -> TaskPage | None:
    if not task.children:
        return None
    return await api.get_tasks(resources, caller, TaskQuery(parent=UUID(task.id), limit=MOST_LISTED))


async def _nothing() -> tuple[()]:
    return ()


def _version(kind: Kind | None, payload: MaskedPayload | None) -> int | None:
    """The version of the contract that a payload follows; None: it is not known."""
    if kind is None or payload is None or payload.dataschema is None:
        return None
    contract = kind.contract_of(payload.dataschema)
    return None if contract is None else contract.version
