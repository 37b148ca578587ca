"""Routes that check the caller before anything else, before a body is read too."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from waybill_gateway.auth.authenticator import Authenticator
from waybill_gateway.auth.caller import CALLER, Caller
from waybill_gateway.auth.scopes import needed_by
from waybill_gateway.http import JsonRoute, limit_body, require_single
from waybill_ledger import Scope

Handle = Callable[[Request], Coroutine[Any, Any, Response]]


async def admit(request: Request, needed: Sequence[Scope]) -> Caller:
    """Identifies the caller of a request, and keeps it and its limits with the request.

    Args:
        request: has the key.
        needed: the scopes of which the key must have one.

    Raises:
        Problem: 400, a header that counts once was repeated; or as `Authenticator.authorize`.
        SQLAlchemyError: the key had to be looked up, and the ledger did not answer.
    """
    require_single(request.scope)
    authenticator: Authenticator = request.app.state.authenticator
    return note_caller(request, await authenticator.authorize(request, needed))


def note_caller(request: Request, caller: Caller) -> Caller:
    """Keeps the caller of a request, and its limits, with the request."""
    request.scope[CALLER] = caller
    limit_body(request.scope, caller.max_body_bytes)
    return caller


class GuardedRoute(APIRoute):
    """A route for which a key must allow what `scopes` says.

    The id of its operation is the name of its function, which generated clients use as the name of their
    method.

    Raises:
        UndeclaredRouteError: at its creation, if `scopes` does not name it.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options | {"generate_unique_id_function": _name})

    def __hash__(self) -> int:
        # Equal routes have these two in common.
        return hash((self.path, self.endpoint))

    def get_route_handler(self) -> Handle:
        """The route's handler, which is called only for callers that may call it."""
        needed, handle = needed_by(self.name), super().get_route_handler()
        if not needed:
            return handle

        async def handle_admitted(request: Request) -> Response:
            await admit(request, needed)
            return await handle(request)

        return handle_admitted


def _name(route: APIRoute) -> str:
    return route.name


class GuardedJsonRoute(GuardedRoute, JsonRoute):
    """A guarded route that takes JSON and nothing else."""
