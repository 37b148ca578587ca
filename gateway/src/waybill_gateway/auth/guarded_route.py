"""Routes that let a caller in before anything else: before a body is read, and however they are answered."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from waybill_gateway.auth.caller import remember
from waybill_gateway.auth.scopes import needed_by
from waybill_gateway.http.json_body import JsonRoute
from waybill_gateway.http.single_headers import require_single
from waybill_gateway.runtime.resources import Resources

Handle = Callable[[Request], Coroutine[Any, Any, Response]]


class GuardedRoute(APIRoute):
    """A route for which a key must allow what `scopes` says.

    Raises:
        UndeclaredRouteError: while it is built, when that says nothing of it.
    """

    def get_route_handler(self) -> Handle:
        """The route's handler behind the door; what answers directly stands behind it, too."""
        needed, handle = needed_by(self.name), super().get_route_handler()
        if needed is None:
            return handle

        async def handle_admitted(request: Request) -> Response:
            require_single(request.scope)
            resources: Resources = request.app.state.resources
            remember(request.scope, await resources.authenticator.authorize(request, needed))
            return await handle(request)

        return handle_admitted


class GuardedJsonRoute(GuardedRoute, JsonRoute):
    """The same for a route that takes JSON and nothing else."""
