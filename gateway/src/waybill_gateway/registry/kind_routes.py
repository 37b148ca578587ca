"""Kinds: which there are, what their data looks like, who handles them."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query

from waybill_gateway.auth import GuardedRoute
from waybill_gateway.http import Problem
from waybill_gateway.registry.fresh import fresh_registry
from waybill_gateway.registry.models import KindDetails, KindPageView, KindQuery, KindView
from waybill_gateway.runtime import ResourcesDep

router = APIRouter(tags=["registry"], route_class=GuardedRoute)

_Name = Annotated[str, Path(pattern=r"^[a-z0-9_.-]{1,64}$")]


@router.get("/v1/kinds")
async def get_kinds(resources: ResourcesDep, asked: Annotated[KindQuery, Query()]) -> KindPageView:
    """Lists kinds by name, retired ones included.

    Kinds belong to the installation: every tenant sees all of them, because a contract holds no data.
    """
    registry = await fresh_registry(resources)
    begin = asked.place("kinds") or ""
    found = [
        kind
        for name, kind in sorted(registry.kinds.items())
        if name > begin and (asked.service is None or asked.service in kind.routes[-1].services)
    ]
    page = found[: asked.limit]
    following = page[-1].name if len(found) > asked.limit else None
    return KindPageView(items=list(map(KindView.of, page)), next_cursor=asked.continued("kinds", following))


@router.get("/v1/kinds/{kind}")
async def get_kind(kind: _Name, resources: ResourcesDep) -> KindDetails:
    """Shows a kind: the schemas and marks of all its versions, and who handles it."""
    registry = await fresh_registry(resources)
    known = registry.find(kind)
    if known is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "no_such_kind",
            f"There is no kind {kind}. GET /v1/kinds lists those that there are.",
        )
    return KindDetails.within(registry, known)
