"""Records for other systems."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from contracts.events import SyncRequested
from gateway.caller import By
from gateway.guarded_route import GuardedJsonRoute
from gateway.idempotency_key import IdempotencyKey, keyed_call
from gateway.models import AcceptedTask, PostSync, event_of
from gateway.resources import Uses
from gateway.submitting import From, new_task, submit
from gateway.targets import require_known_target

router = APIRouter(tags=["syncs"], route_class=GuardedJsonRoute)


@router.post("/v1/syncs", status_code=HTTPStatus.ACCEPTED)
async def post_sync(
    posted: PostSync,
    response: Response,
    resources: Uses,
    caller: By,
    origin: From,
    idempotency_key: IdempotencyKey = None,
) -> AcceptedTask:
    """Writes a record to a configured target."""
    require_known_target(resources, posted.target)
    call = keyed_call(
        resources.persons, caller, "POST /v1/syncs", idempotency_key, posted.model_dump_json().encode()
    )
    with resources.calls.only(call):
        about = f"{posted.target}/{posted.resource}/{posted.id}"
        event = event_of(SyncRequested, posted)
        task = new_task(resources, event, about=about, timing=posted, origin=origin, tenant=caller.tenant)
        return await submit(resources, response, task, posted, call)
