"""Mails."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from contracts.events import EmailRequested
from gateway.caller import By
from gateway.email_models import PostEmail
from gateway.guarded_route import GuardedJsonRoute
from gateway.idempotency_key import IdempotencyKey, keyed_call
from gateway.mail_templates import require_known_template
from gateway.models import AcceptedTask, event_of
from gateway.resources import Uses
from gateway.submitting import From, new_task, submit

router = APIRouter(tags=["emails"], route_class=GuardedJsonRoute)


@router.post("/v1/emails", status_code=HTTPStatus.ACCEPTED)
async def post_email(
    posted: PostEmail,
    response: Response,
    resources: Uses,
    caller: By,
    origin: From,
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
