"""Mails."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from waybill_contracts.kinds.emails import EmailRequested
from waybill_gateway.auth.caller import CallerDep
from waybill_gateway.auth.guarded_route import GuardedJsonRoute
from waybill_gateway.emails.models import PostEmail
from waybill_gateway.emails.templates import require_known_template
from waybill_gateway.http.idempotency_key import IdempotencyKey, keyed_call
from waybill_gateway.runtime.resources import ResourcesDep
from waybill_gateway.tasks.models import AcceptedTask, event_of
from waybill_gateway.tasks.submission import OriginDep, new_task, submit

router = APIRouter(tags=["emails"], route_class=GuardedJsonRoute)


@router.post("/v1/emails", status_code=HTTPStatus.ACCEPTED)
async def post_email(
    posted: PostEmail,
    response: Response,
    resources: ResourcesDep,
    caller: CallerDep,
    origin: OriginDep,
    idempotency_key: IdempotencyKey = None,
) -> AcceptedTask:
    """Sends a mail, with its own words or from a template."""
    require_known_template(resources, posted)
    call = keyed_call(
        resources.persons, caller, "POST /v1/emails", idempotency_key, posted.model_dump_json().encode()
    )
    with resources.calls.only(call):
        task = new_task(
            resources, event_of(EmailRequested, posted), timing=posted, origin=origin, tenant=caller.tenant
        )
        return await submit(resources, response, task, posted, call)
