"""Routes are declared with who may call them, or the gateway cannot be built."""

from pathlib import Path

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from waybill_gateway import app as composition
from waybill_gateway.auth.guarded_route import GuardedRoute
from waybill_gateway.auth.scopes import UndeclaredRouteError
from waybill_testkit.gateway.in_process import settings_in


def test_a_route_that_nobody_speaks_of_cannot_be_built() -> None:
    router = APIRouter(route_class=GuardedRoute)

    async def undeclared() -> None: ...

    with pytest.raises(UndeclaredRouteError, match="undeclared"):
        router.add_api_route("/undeclared", undeclared)


def test_a_route_without_a_door_makes_the_gateway_impossible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = APIRouter(route_class=APIRoute)

    async def healthz() -> None: ...

    router.add_api_route("/healthz", healthz)
    module = type("module", (), {"router": router})
    monkeypatch.setattr(composition, "_ROUTES", (module,))
    with pytest.raises(UndeclaredRouteError, match="lets in every caller"):
        composition.create_app(settings_in(tmp_path))
