"""The plain Starlette routes of posts: FastAPI describes these operations, and these answer them.

To solve dependencies, open two stacks of contexts and validate its own answer takes FastAPI half of the time
that a gateway spends on a task, and to find the route among its routers takes another fifth.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from waybill_gateway.auth import GuardedJsonRoute, admit, needed_by
from waybill_gateway.http import parse_json, require_json
from waybill_gateway.tasks.post import KeyedPostDep, Post, PostDep
from waybill_ledger import Scope as KeyScope

#: The body of such a POST, and the rest of it; returns the body of the answer.
Endpoint = Callable[[BaseModel, Post], Awaitable[BaseModel]]

_POSTS: Final = (PostDep, KeyedPostDep)


class PostRoute(Route):
    """Answers POST on one path as the described route would.

    Args:
        described: FastAPI's route, which refuses all other methods.
        model: of the body.
        needed: the scopes of which a key must have one.
    """

    def __init__(
        self, described: GuardedJsonRoute, model: type[BaseModel], needed: Sequence[KeyScope]
    ) -> None:
        super().__init__(described.path, described.endpoint, methods=["POST"], name=described.name)
        self._needed = needed
        self._model = model
        self._status = described.status_code or 200

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request is a POST on this path."""
        # Before the path's pattern, for these routes are asked about every request.
        if scope["type"] != "http" or scope["method"] != "POST":
            return Match.NONE, {}
        match, child_scope = super().matches(scope)
        if match is not Match.FULL:
            return Match.NONE, {}
        return match, {**child_scope, "route": self}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request; the application answers errors."""
        request = Request(scope, receive)
        resources = request.app.state.resources
        caller = await admit(request, self._needed)
        require_json(request)
        posted = _validated(self._model, await request.body())
        headers = MutableHeaders()
        answer = await self.endpoint(posted, Post(request, resources, caller, headers))
        body = answer.model_dump_json(by_alias=True)
        await Response(body, self._status, headers, "application/json")(scope, receive, send)


def post_routes(routes: Iterable[BaseRoute]) -> list[PostRoute]:
    """The plain routes of all operations that take what was posted and the `Post`, and nothing else.

    FastAPI answers every other one, so that no dependency is ever left out.
    """
    return [
        PostRoute(route, model, needed)
        for route in routes
        if isinstance(route, GuardedJsonRoute)
        and (model := _posted_model(route)) is not None
        and (needed := needed_by(route.name))
    ]


def _posted_model(route: GuardedJsonRoute) -> type[BaseModel] | None:
    if route.methods != {"POST"} or route.dependencies:
        return None
    match list(inspect.signature(route.endpoint, eval_str=True).parameters.values()):
        case [posted, post] if post.annotation in _POSTS:
            model: type[BaseModel] = posted.annotation
            return model
    return None


def _validated(model: type[BaseModel], body: bytes) -> BaseModel:
    if (value := parse_json(body) if body else None) is None:
        raise RequestValidationError([{"type": "missing", "loc": ("body",), "msg": "Field required"}])
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from None
