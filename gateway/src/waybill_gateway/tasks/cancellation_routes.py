"""Cancellation of tasks."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter

from waybill_gateway.auth import CallerDep, GuardedRoute
from waybill_gateway.http import IdempotencyKey, Problem, parse_key
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.tasks.models import CancelledTask, links_of
from waybill_gateway.tasks.routes import no_such_task
from waybill_ledger import Cancellation, Stopping, TooLate, cancel

router = APIRouter(tags=["tasks"], route_class=GuardedRoute)


@router.post(
    "/v1/tasks/{task_id}/cancel",
)
async def cancel_task(
    task_id: UUID, resources: ResourcesDep, caller: CallerDep, idempotency_key: IdempotencyKey = None
) -> CancelledTask:
    """Cancels a task, and reports what that can still achieve.

    `prevented`: no attempt will begin. `stopping`: the services are notified; the task ends `cancelled`, or
    with
    its outcome if it can no longer be stopped. A task with an outcome is answered with 409. The call can be
    repeated safely.
    """
    parse_key(idempotency_key)  # a repeat has the same effect, so its key need not be stored
    now = resources.records.now()
    answer = await resources.records.write(cancel, Cancellation(str(task_id), now, caller.sees))
    if answer is None:
        raise no_such_task()
    if isinstance(answer, TooLate):
        raise Problem(
            HTTPStatus.CONFLICT, "too_late", f"The task is already {answer.state}; nothing was cancelled."
        )
    if isinstance(answer, Stopping):
        for message in answer.messages:
            resources.relay.publish_soon(message, now)
        return CancelledTask(id=str(task_id), outcome="stopping", links=links_of(str(task_id)))
    return CancelledTask(id=str(task_id), outcome="prevented", links=links_of(str(task_id)))
