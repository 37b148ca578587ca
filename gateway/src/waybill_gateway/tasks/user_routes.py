"""New users: a welcome mail and a record in the configured target, as one task."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from contracts.events import UserCreated
from gateway.caller import By
from gateway.guarded_route import GuardedJsonRoute
from gateway.idempotency_key import IdempotencyKey, keyed_call
from gateway.models import AcceptedTask, PostUser
from gateway.resources import Uses
from gateway.submitting import From, new_task, submit
from ledger import new_task_id

router = APIRouter(tags=["users"], route_class=GuardedJsonRoute)


@router.post("/v1/users", status_code=HTTPStatus.ACCEPTED)
async def post_user(
    posted: PostUser,
    response: Response,
    resources: Uses,
    caller: By,
    origin: From,
    idempotency_key: IdempotencyKey = None,
) -> AcceptedTask:
    """Announces a new user: one task with two subtasks, the welcome mail and the record."""
    call = keyed_call(
        resources.persons, caller, "POST /v1/users", idempotency_key, posted.model_dump_json().encode()
    )
    with resources.calls.only(call):
        task_id = new_task_id()
        event = UserCreated(
            user_id=posted.id or task_id, email=posted.email, name=posted.name, attributes=posted.attributes
        )
        task = new_task(resources, event, timing=posted, origin=origin, tenant=caller.tenant, task_id=task_id)
        return await submit(resources, response, task, posted, call)
