"""Services: the list, one service with its release and policies, and how it is retired."""

from functools import partial
from typing import Annotated

from fastapi import Path, Query, Response

from waybill_contracts.registry import HandledKind
from waybill_gateway.auth import Caller, CallerDep
from waybill_gateway.http import Paged
from waybill_gateway.registry import service_routes
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_gateway.ui.frame import (
    REFUSALS,
    Page,
    PageDep,
    Refusal,
    SubmittedDep,
    pages_router,
    refusal_of,
)
from waybill_ledger import open_work

router = pages_router()

_Name = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,48}$")]
_Notice = Annotated[str | None, Query(pattern="^retired$")]


@router.get("/ui/services", name="get_services")
async def show_services(page: PageDep, resources: ResourcesDep, asked: Annotated[Paged, Query()]) -> Response:
    """Shows services by name."""
    found = await service_routes.get_services(resources, asked)
    return page.render(
        "catalog/services.html",
        services=found.items,
        following=found.next_cursor and page.here(cursor=found.next_cursor),
    )


@router.get("/ui/services/{name}", name="get_service")
async def show_service(
    name: _Name, page: PageDep, resources: ResourcesDep, caller: CallerDep, notice: _Notice = None
) -> Response:
    """Shows a service and its newest manifest."""
    return await _service(name, page, resources, caller, notice=notice)


@router.post("/ui/services/{name}/retire", name="retire_service")
async def retire_service(name: _Name, sent: SubmittedDep) -> Response:
    """Retires a service; shows what it has left to do if that is refused."""
    try:
        await service_routes.retire_service(name, sent.resources, sent.caller, sent.actor)
    except REFUSALS as error:
        refusal = refusal_of(error)
        return await _service(name, sent.page, sent.resources, sent.caller, refusal=refusal)
    return sent.page.redirect(f"/ui/services/{name}", notice="retired")


async def _service(
    name: str,
    page: Page,
    resources: Resources,
    caller: Caller,
    *,
    notice: str | None = None,
    refusal: Refusal | None = None,
) -> Response:
    found = await service_routes.get_service(name, resources)
    work = await resources.records.read(partial(open_work, tenant=caller.sees))
    handles: tuple[HandledKind, ...] = resources.kinds.current.services[name].manifest.handles
    return page.render(
        "catalog/service.html",
        200 if refusal is None else refusal.status,
        service=found,
        handles=sorted(handles, key=lambda each: each.kind),
        work={each.state.value: each for each in work if each.service == name},
        notice=notice,
        refusal=refusal,
        metrics=found.manifest.get("metrics"),
    )
