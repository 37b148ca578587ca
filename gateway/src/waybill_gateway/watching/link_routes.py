"""What a link to a task shows to a browser: its state, as JSON or events; and the script that follows it."""

from contextlib import ExitStack
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from waybill_gateway.auth import GuardedRoute
from waybill_gateway.following import MOST_WAIT_SECONDS, Over, unless_gone
from waybill_gateway.watching.event_routes import LastEventId
from waybill_gateway.watching.event_stream import EventStream
from waybill_gateway.watching.events import LINK_END, events_of_link
from waybill_gateway.watching.link_access import Linked, LinkedDep, link_expired
from waybill_gateway.watching.models import LinkView
from waybill_gateway.watching.page import script

#: What a link shows must not be kept, and its address not be handed on.
PRIVATE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "description": "Each event has a `LinkView` as its data.",
    },
    204: {"description": "The task has ended, and its last event was `end`: there is nothing to wait for."},
}

router = APIRouter(tags=["tasks"], route_class=GuardedRoute)


Wait = Annotated[float, Query(ge=0, le=MOST_WAIT_SECONDS, description="As for `GET /v1/tasks/{task_id}`.")]


@router.get("/v1/watch/{token}")  # noqa: FAST003 - `LinkedDep` takes it
async def get_linked_task(
    linked: LinkedDep, request: Request, response: Response, wait: Wait = 0
) -> LinkView:
    """Shows the state of a task to anybody with its link; with `wait`, once it has ended."""
    response.headers.update(PRIVATE)
    return await view_in(linked, request, wait)


@router.get("/v1/watch/{token}/events", response_class=EventStream, responses=_STREAM)  # noqa: FAST003 - as said
async def watch_linked_task(linked: LinkedDep, last_event_id: LastEventId = None) -> Response:
    """Streams the state of a task to anybody with its link, at each change; `end` comes last."""
    if last_event_id == LINK_END and linked.task.state.is_terminal:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=PRIVATE)
    with ExitStack() as held:
        watch = linked.watched(held)
        await linked.watches.ready()
        events = events_of_link(linked.watches, watch, linked.task.id)
        answer = EventStream(events, held.pop_all(), linked.resources.metrics)
    answer.headers.update(PRIVATE)
    return answer


@router.get("/v1/watch.js", response_class=Response, include_in_schema=False)
async def watch_script() -> Response:
    """Gives the module by which a page of an application follows a link; needs no key."""
    headers = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
    return Response(script(), media_type="text/javascript; charset=utf-8", headers=headers)


async def view_in(linked: Linked, request: Request, wait: float) -> LinkView:
    """The state of a linked task, after a wait for its end.

    Raises:
        Problem: 410, the link has ended meanwhile; 503, too many wait.
    """
    if not wait or linked.task.state.is_terminal:
        return LinkView.of(linked.task)
    with ExitStack() as held:
        watch = linked.watched(held)
        task = await unless_gone(request, linked.watches.until_ended(watch, wait))
    if task is None or watch.over in {Over.KEY, Over.LINK}:
        raise link_expired()
    return LinkView.of(task)
