"""Which routes are answered without FastAPI's machinery, and that nothing is passed over by that."""

from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from pydantic import BaseModel
from starlette.routing import Match

from waybill_gateway.emails import routes as emails
from waybill_gateway.http.direct_route import direct_handler
from waybill_gateway.http.json_body import JsonRoute
from waybill_gateway.http.posting_paths import PostingPaths
from waybill_gateway.images import routes as images
from waybill_gateway.password_resets import routes as password_resets
from waybill_gateway.syncs import routes as syncs
from waybill_gateway.tasks import cancellation_routes as cancellations
from waybill_gateway.users import routes as users


class Posted(BaseModel):
    number: int


class Answer(BaseModel):
    doubled: int


async def post(router: APIRouter, include: dict[str, Any] | None = None, **call: Any) -> httpx.Response:
    app = FastAPI()
    app.include_router(router, **include or {})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        return await client.post("/numbers", **{"json": {"number": 2}, **call})


def numbers(**of_route: Any) -> APIRouter:
    router = APIRouter(route_class=JsonRoute)

    @router.post("/numbers", status_code=202, **of_route)
    async def double(posted: Posted, response: Response) -> Answer:
        response.headers["X-Number"] = str(posted.number)
        return Answer(doubled=2 * posted.number)

    return router


@pytest.mark.parametrize("router", [emails.router, users.router, syncs.router, password_resets.router])
def test_the_routes_that_accept_tasks_are_answered_directly(router: APIRouter) -> None:
    for route in router.routes:
        assert isinstance(route, JsonRoute)
        assert direct_handler(route) is not None, route.path


@pytest.mark.parametrize(
    ("path", "method", "match"),
    [
        ("/v1/emails", "POST", Match.FULL),
        ("/v1/users", "POST", Match.FULL),
        ("/v1/emails", "GET", Match.NONE),
        ("/v1/emails/", "POST", Match.NONE),
        # A file, and a path with an id in it.
        ("/v1/images", "POST", Match.NONE),
        ("/v1/tasks/{task_id}/cancel", "POST", Match.NONE),
    ],
)
def test_only_what_is_answered_directly_is_taken_from_the_routers(
    path: str, method: str, match: Match
) -> None:
    modules = (emails, users, images, cancellations)
    paths = PostingPaths(route for module in modules for route in module.router.routes)

    assert paths.matches({"type": "http", "method": method, "path": path})[0] == match


async def test_a_direct_answer_has_status_body_and_headers() -> None:
    answer = await post(numbers())

    assert (answer.status_code, answer.json()) == (202, {"doubled": 4})
    assert answer.headers["x-number"] == "2"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("of", ["route", "inclusion"])
async def test_a_dependency_is_never_passed_over(of: str) -> None:
    async def refuse() -> None:
        raise PermissionError("not you")

    needed = {"dependencies": [Depends(refuse)]}
    router = numbers(**needed) if of == "route" else numbers()

    with pytest.raises(PermissionError, match="not you"):
        await post(router, include=needed if of == "inclusion" else None)


async def test_an_argument_that_is_not_known_is_left_to_fastapi() -> None:
    router = APIRouter(route_class=JsonRoute)

    @router.post("/numbers")
    async def add(posted: Posted, request: Request, more: Annotated[int, Query()]) -> Answer:
        return Answer(doubled=posted.number + more + len(request.query_params))

    assert (await post(router, params={"more": "40"})).json() == {"doubled": 43}
