"""The plain routes of posts: FastAPI describes these operations, and these answer them.

To solve dependencies, open two stacks of contexts and validate its own answer takes FastAPI half of the time
that a gateway spends on a task; its middleware and the search for the route among its routers take another
fifth. So posts are answered before its application sees them, except for errors, which it answers like all
others.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from waybill_gateway.auth import GuardedJsonRoute, admit, needed_by
from waybill_gateway.http import SINGLE_HEADERS, limited_receive, parse_json, require_json
from waybill_gateway.tasks.post import KeyedPostDep, Post, PostDep
from waybill_ledger import Scope as KeyScope

#: The body of such a POST, and the rest of it; returns the body of the answer.
Endpoint = Callable[[BaseModel, Post], Awaitable[BaseModel]]

_POSTS: Final = (PostDep, KeyedPostDep)
#: The place in a request's scope of the error that its plain route raised.
_ERROR: Final = "waybill.error"
_JSON: Final = b"content-type", b"application/json"


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

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as they are called
        """Raises the error of a request that `answer` could not answer, within the application."""
        error: Exception = scope[_ERROR]
        raise error

    async def answer(self, scope: Scope, receive: Receive, max_body_bytes: int) -> tuple[Message, Message]:
        """The answer to the request: its head, and its body.

        Raises:
            Exception: the application has an answer to it.
        """
        request = Request(scope)
        caller = await admit(request, self._needed)
        received = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in SINGLE_HEADERS
        }
        require_json(received.get("content-type", ""))
        posted = _validated(self._model, await _whole(limited_receive(scope, receive, max_body_bytes)))
        headers = MutableHeaders(raw=[])
        post = Post(self.path, received, request.app.state.resources, caller, headers)
        answer: BaseModel = await self.endpoint(posted, post)
        body = to_json(answer, by_alias=True)
        length = b"content-length", str(len(body)).encode()
        return (
            {
                "type": "http.response.start",
                "status": self._status,
                "headers": [*headers.raw, length, _JSON],
            },
            {"type": "http.response.body", "body": body},
        )


class PlainPosts:
    """ASGI middleware: answers posts by their plain routes, and passes on all else.

    Args:
        rest: the application, which answers all other requests, and the errors of these.
        app: is in the scope of a request, as the application itself has it there.
        routes: answer posts.
        max_body_bytes: limit of a body.
    """

    def __init__(self, rest: ASGIApp, app: Any, routes: Iterable[PostRoute], *, max_body_bytes: int) -> None:
        self._rest = rest
        self._app = app
        self._routes = {route.path: route for route in routes}
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a post; passes anything else on."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        route = self._routes.get(scope["path"]) if is_post else None
        if route is None:
            await self._rest(scope, receive, send)
            return
        scope["app"], scope["route"] = self._app, route
        try:
            head, body = await route.answer(scope, receive, self._max_body_bytes)
        except Exception as error:  # noqa: BLE001 - raised again by the route, where it is answered
            scope[_ERROR] = error
            await self._rest(scope, receive, send)
        else:
            await send(head)
            await send(body)


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


async def _whole(receive: Receive) -> bytes:
    """The body of a request.

    Raises:
        ClientDisconnect: the caller has gone.
    """
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _validated(model: type[BaseModel], body: bytes) -> BaseModel:
    if (value := parse_json(body) if body else None) is None:
        raise RequestValidationError([{"type": "missing", "loc": ("body",), "msg": "Field required"}])
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from None
