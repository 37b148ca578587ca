"""New users: a welcome mail and a record in the configured target, as one task."""

from http import HTTPStatus

from fastapi import APIRouter

from waybill_contracts.kinds import UserCreated
from waybill_gateway.auth import GuardedJsonRoute
from waybill_gateway.tasks import AcceptedTask, PostDep, submit
from waybill_gateway.users.models import PostUser
from waybill_ledger import new_task_id

router = APIRouter(tags=["users"], route_class=GuardedJsonRoute)


@router.post("/v1/users", status_code=HTTPStatus.ACCEPTED)
async def post_user(posted: PostUser, post: PostDep) -> AcceptedTask:
    """Announces a new user: one task with two subtasks, the welcome mail and the record."""
    task_id = new_task_id()
    event = UserCreated(
        user_id=posted.id or task_id, email=posted.email, name=posted.name, attributes=posted.attributes
    )
    return await submit(post, event.KIND, event.event_data(), posted, task_id=task_id)
