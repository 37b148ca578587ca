"""`/openapi.json` of an installation: with the kinds that are registered there."""

import json
from collections.abc import Callable
from http import HTTPMethod
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from starlette.routing import Route

from waybill_contracts.registry import Registry, built_in_registry
from waybill_gateway.auth import admit
from waybill_gateway.docs.kind_schemas import with_kinds
from waybill_ledger import Scope

#: Scopes whose keys see the kinds of the installation.
_CALLERS: Final = (Scope.READ, Scope.SUBMIT, Scope.DEPLOY)


class InstalledDocument:
    """The OpenAPI document with the kinds of the gateway's copy of the registry, made once for each revision.

    A caller without a key, where keys are needed, gets that of the built-in kinds: it reveals nothing about
    the installation.

    Args:
        app: has the settings, and from its start on the resources.
        bare: the document without any kinds.
    """

    def __init__(self, app: FastAPI, bare: Callable[[], dict[str, Any]]) -> None:
        self._app = app
        self._bare = bare
        #: With the kinds of the installation, and without.
        self._made: dict[bool, tuple[Registry, bytes]] = {}

    def route(self) -> Route:
        """The route that answers with it."""
        return Route("/openapi.json", self._answer, methods=[HTTPMethod.GET], include_in_schema=False)

    async def _answer(self, request: Request) -> Response:
        state = self._app.state
        if state.settings.gateway_auth == "open" or "authorization" in request.headers:
            await admit(request, _CALLERS)
            body = self._rendered(state.resources.kinds.current, is_installed=True)
        else:
            body = self._rendered(built_in_registry(), is_installed=False)
        if prefix := str(request.scope.get("root_path", "")).rstrip("/"):
            body = _text({**json.loads(body), "servers": [{"url": prefix}]})
        return Response(body, media_type="application/json", headers={"Vary": "Authorization"})

    def _rendered(self, registry: Registry, *, is_installed: bool) -> bytes:
        # A copy of the registry is another object only after a change.
        made = self._made.get(is_installed)
        if made is None or made[0] is not registry:
            made = self._made[is_installed] = registry, _text(with_kinds(self._bare(), registry))
        return made[1]


def _text(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
