"""Records for other systems."""

from http import HTTPStatus

from fastapi import APIRouter

from waybill_contracts.kinds import SyncRequested
from waybill_gateway.auth import GuardedJsonRoute
from waybill_gateway.syncs.models import PostSync
from waybill_gateway.syncs.targets import require_known_target
from waybill_gateway.tasks import AcceptedTask, PostDep, data_of, submit

router = APIRouter(tags=["syncs"], route_class=GuardedJsonRoute)


@router.post("/v1/syncs", status_code=HTTPStatus.ACCEPTED)
async def post_sync(posted: PostSync, post: PostDep) -> AcceptedTask:
    """Writes a record to a configured target."""
    require_known_target(post.resources, posted.target)
    about = f"{posted.target}/{posted.resource}/{posted.id}"
    return await submit(post, SyncRequested.KIND, data_of(posted), posted, about=about)
