"""New users: a welcome mail and a record in the configured target, as one task."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from waybill_contracts.kinds.users import UserCreated
from waybill_gateway.auth.caller import CallerDep
from waybill_gateway.auth.guarded_route import GuardedJsonRoute
from waybill_gateway.http.idempotency_key import IdempotencyKey, keyed_call
from waybill_gateway.runtime.resources import ResourcesDep
from waybill_gateway.tasks.models import AcceptedTask, PostUser
from waybill_gateway.tasks.submission import OriginDep, new_task, submit
from waybill_ledger import new_task_id

router = APIRouter(tags=["users"], route_class=GuardedJsonRoute)


@router.post("/v1/users", status_code=HTTPStatus.ACCEPTED)
async def post_user(
    posted: PostUser,
    response: Response,
    resources: ResourcesDep,
    caller: CallerDep,
    origin: OriginDep,
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
