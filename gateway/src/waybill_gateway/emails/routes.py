"""Mails."""

from http import HTTPStatus

from fastapi import APIRouter

from waybill_contracts.kinds import EmailRequested
from waybill_gateway.auth import GuardedJsonRoute
from waybill_gateway.emails.models import PostEmail
from waybill_gateway.emails.templates import require_known_template
from waybill_gateway.tasks import AcceptedTask, PostDep, data_of, submit

router = APIRouter(tags=["emails"], route_class=GuardedJsonRoute)


@router.post("/v1/emails", status_code=HTTPStatus.ACCEPTED)
async def post_email(posted: PostEmail, post: PostDep) -> AcceptedTask:
    """Sends a mail, with its own text or from a template."""
    require_known_template(post.resources, posted)
    return await submit(post, EmailRequested.KIND, data_of(posted), posted)
