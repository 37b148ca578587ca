"""Kinds: the list, and one kind with its contracts and who handles it."""

from typing import Annotated

from fastapi import Path, Query, Response

from waybill_gateway.registry import KindQuery, kind_routes
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.ui.contract_forms import fields_of
from waybill_gateway.ui.frame import PageDep, pages_router

router = pages_router()

KindName = Annotated[str, Path(pattern=r"^[a-z0-9_.-]{1,64}$")]


@router.get("/ui/kinds", name="get_kinds")
async def show_kinds(
    page: PageDep, resources: ResourcesDep, asked: Annotated[KindQuery, Query()]
) -> Response:
    """Shows kinds by name."""
    found = await kind_routes.get_kinds(resources, asked)
    return page.render(
        "catalog/kinds.html",
        kinds=found.items,
        service=asked.service,
        following=found.next_cursor and page.here(cursor=found.next_cursor),
    )


@router.get("/ui/kinds/{kind}", name="get_kind")
async def show_kind(kind: KindName, page: PageDep, resources: ResourcesDep) -> Response:
    """Shows a kind: its contracts, and who handles it."""
    found = await kind_routes.get_kind(kind, resources)
    known = resources.kinds.current.kind(kind)
    return page.render(
        "catalog/kind.html",
        kind=found,
        fields=fields_of(known.current),
        description=known.current.schema.get("description", ""),
        schedulable=not (known.current.has_files or known.current.secret),
    )
