"""Which operations plain Starlette routes answer, and that FastAPI answers these alike."""

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Depends
from pydantic import BaseModel
from starlette.routing import Match

from waybill_gateway.auth.guarded_route import GuardedJsonRoute
from waybill_gateway.emails import routes as emails
from waybill_gateway.images import routes as images
from waybill_gateway.password_resets import routes as password_resets
from waybill_gateway.schedules import routes as schedules
from waybill_gateway.syncs import routes as syncs
from waybill_gateway.tasks import cancellation_routes as cancellations
from waybill_gateway.tasks.post import PostDep
from waybill_gateway.tasks.post_route import PostRoute, post_routes
from waybill_gateway.users import routes as users
from waybill_testkit.gateway.in_process import EMAIL, Gateway, running


class Posted(BaseModel):
    number: int


def routes_of(*modules: Any) -> list[PostRoute]:
    return post_routes(route for module in modules for route in module.router.routes)


def test_plain_routes_answer_the_posts_that_make_tasks() -> None:
    made = routes_of(emails, users, syncs, password_resets, schedules, images, cancellations)

    assert [route.path for route in made] == [
        "/v1/emails",
        "/v1/users",
        "/v1/syncs",
        "/v1/password-resets",
        "/v1/password-resets/redeem",
        "/v1/schedules",
    ]


@pytest.mark.parametrize(
    ("path", "method", "match"),
    [
        ("/v1/emails", "POST", Match.FULL),
        ("/v1/emails", "GET", Match.NONE),
        ("/v1/emails/", "POST", Match.NONE),
        ("/v1/users", "POST", Match.NONE),
    ],
)
def test_a_plain_route_takes_only_posts_on_its_path(path: str, method: str, match: Match) -> None:
    [route] = routes_of(emails)

    assert route.matches({"type": "http", "method": method, "path": path, "headers": []})[0] == match


async def refuse() -> None:
    raise PermissionError("not you")


@pytest.mark.parametrize("dependencies", [(), (Depends(refuse),)])
def test_fastapi_answers_an_operation_with_a_dependency_of_its_own(dependencies: Sequence[Any]) -> None:
    router = APIRouter(route_class=GuardedJsonRoute)

    @router.post("/numbers", name="post_email", dependencies=dependencies)
    async def double(posted: Posted, post: PostDep) -> Posted:  # noqa: ARG001 - as such routes have it
        return posted

    assert len(post_routes(router.routes)) == (0 if dependencies else 1)


def test_fastapi_answers_an_operation_with_another_argument() -> None:
    router = APIRouter(route_class=GuardedJsonRoute)

    @router.post("/numbers", name="post_email")
    async def add(posted: Posted, post: PostDep, more: int) -> Posted:  # noqa: ARG001 - as such routes have it
        return posted

    assert post_routes(router.routes) == []


def comparable(answer: httpx.Response) -> tuple[int, set[str], Any]:
    body = answer.json()
    body.pop("id", None)
    body.pop("links", None)
    return answer.status_code, set(answer.headers), body


async def answers(gateway: Gateway) -> list[tuple[int, set[str], Any]]:
    key = {"Idempotency-Key": "k1", "X-Request-Id": "r1"}
    calls: list[dict[str, Any]] = [
        {"json": EMAIL, "headers": key},
        {"json": EMAIL, "headers": key},
        {"json": EMAIL | {"subject": "Another"}, "headers": key},
        {"json": EMAIL, "headers": {"Idempotency-Key": "two words"}},
        {"json": EMAIL | {"to": "nobody", "more": 1}},
        {"content": b"", "headers": {"Content-Type": "application/json"}},
        {"content": b"{", "headers": {"Content-Type": "application/json"}},
        {"content": b"{}", "headers": {"Content-Type": "text/plain"}},
        {"content": b"[" + b"1," * 600_000 + b"1]", "headers": {"Content-Type": "application/json"}},
    ]
    return [comparable(await gateway.client.post("/v1/emails", **call)) for call in calls]


async def test_fastapi_would_answer_alike(
    gateway: Gateway, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    monkeypatch.setattr("waybill_gateway.app.post_routes", lambda _routes: [])
    async with running(folder) as described:
        by_fastapi = await answers(described)

    assert [status for status, _, _ in by_fastapi] == [202, 202, 422, 400, 422, 422, 400, 415, 413]
    assert await answers(gateway) == by_fastapi
