"""What a link to a task shows to people: a page without scripts, also where there is a problem."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from waybill_gateway.auth import GuardedRoute, Handle
from waybill_gateway.http import Problem
from waybill_gateway.watching.link_access import LinkedDep
from waybill_gateway.watching.link_routes import PRIVATE, Wait, view_in
from waybill_gateway.watching.models import LinkView
from waybill_gateway.watching.page import PAGE_HEADERS, PAGE_WAIT_SECONDS, page_of, page_of_problem


class _PageRoute(GuardedRoute):
    """A route whose problems are pages too: people look at them."""

    def get_route_handler(self) -> Handle:
        """The route's handler."""
        handle = super().get_route_handler()

        async def handle_page(request: Request) -> Response:
            try:
                return await handle(request)
            except Problem as problem:
                headers = {**(problem.headers or {}), **PRIVATE, **PAGE_HEADERS}
                return HTMLResponse(page_of_problem(problem), problem.status_code, headers)

        return handle_page


#: Problems are pages of these, for the document of the API.
_PAGES: Final[dict[int | str, dict[str, Any]]] = {
    status.value: {"content": {"text/html": {"schema": {"type": "string"}}}}
    for status in (
        HTTPStatus.NOT_FOUND,
        HTTPStatus.GONE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
}
router = APIRouter(tags=["tasks"], route_class=_PageRoute)


@router.get("/v1/watch/{token}/page", response_class=HTMLResponse, responses=_PAGES)  # noqa: FAST003 - as said
async def show_linked_task(linked: LinkedDep, request: Request, wait: Wait = 0) -> Response:
    """Shows the state of a task as a page without scripts, which renews itself until the task has ended."""
    is_crowded = False
    try:
        view = await view_in(linked, request, min(wait, PAGE_WAIT_SECONDS))
    except Problem as problem:
        if problem.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        # As many as may wait do so already: one more sees the state of now.
        view, is_crowded = LinkView.of(linked.task), True
    return HTMLResponse(page_of(view, is_crowded=is_crowded), headers=PRIVATE | PAGE_HEADERS)
