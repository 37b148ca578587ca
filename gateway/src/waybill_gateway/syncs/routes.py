"""Records for other systems."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from waybill_contracts.kinds.syncs import SyncRequested
from waybill_gateway.auth.caller import CallerDep
from waybill_gateway.auth.guarded_route import GuardedJsonRoute
from waybill_gateway.http.idempotency_key import IdempotencyKey, keyed_call
from waybill_gateway.runtime.resources import ResourcesDep
from waybill_gateway.syncs.targets import require_known_target
from waybill_gateway.tasks.models import AcceptedTask, PostSync, event_of
from waybill_gateway.tasks.submission import OriginDep, new_task, submit

router = APIRouter(tags=["syncs"], route_class=GuardedJsonRoute)


@router.post("/v1/syncs", status_code=HTTPStatus.ACCEPTED)
async def post_sync(
    posted: PostSync,
    response: Response,
    resources: ResourcesDep,
    caller: CallerDep,
    origin: OriginDep,
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
