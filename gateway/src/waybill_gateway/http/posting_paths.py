"""Finds the posting routes with one look, before FastAPI's routers are asked one after the other.

They carry nearly all requests, and asking every router, then opening two stacks for dependencies that these
routes do not have, took a fifth of what a post costs between uvicorn and its commit.
"""

from collections.abc import Iterable
from typing import NoReturn, TypeGuard

from fastapi import Request
from starlette._utils import get_route_path
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from waybill_gateway.http.direct_route import direct_handler
from waybill_gateway.http.json_body import JsonRoute


class PostingPaths(BaseRoute):
    """Answers POST on the path of each route that is answered directly; leaves all else to the routers."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._routes = {
            route.path: (route, route.get_route_handler()) for route in routes if _is_answered_directly(route)
        }

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request is for one of them, and what its scope is to know then."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return Match.NONE, {}
        found = self._routes.get(get_route_path(scope))
        if found is None:
            return Match.NONE, {}
        route, _ = found
        return Match.FULL, {"route": route, "endpoint": route.endpoint}

    def url_path_for(self, name: str, /, **path_params: object) -> NoReturn:
        """Leaves it to the routers, which have each route, too."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers; what the route raises is the application's to answer, as everywhere."""
        _, handle = self._routes[get_route_path(scope)]
        response = await handle(Request(scope, receive, send))
        await response(scope, receive, send)


def _is_answered_directly(route: BaseRoute) -> TypeGuard[JsonRoute]:
    return isinstance(route, JsonRoute) and not route.param_convertors and direct_handler(route) is not None
