"""The overview: what needs a person first, then the flow of the last hour and day."""

import asyncio
from datetime import timedelta
from typing import Final

from cachetools import TTLCache
from fastapi import Request, Response

from waybill_gateway.auth import Caller, CallerDep
from waybill_gateway.desk import GroupQuery, group_routes
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_gateway.tasks import AccountQuery, accounting_routes
from waybill_gateway.ui.frame import PageDep, pages_router
from waybill_gateway.ui.overview.findings import Snapshot, findings
from waybill_gateway.ui.overview.services import services_of
from waybill_ledger import open_work
from waybill_ledger.deadletters import GroupState

router = pages_router()

#: Seconds for which one look at the ledger serves all who look at the page: hundreds may.
SHARED_SECONDS: Final = 3
#: Seconds after which the page renews itself.
LIVE_SECONDS: Final = 5
#: Groups of failures that the page lists.
MOST_GROUPS: Final = 5
#: Tenants whose looks are kept.
_MOST_TENANTS: Final = 1_000
#: The place of the looks in the state of the application.
_LOOKS: Final = "overview_looks"

_Looks = TTLCache[str | None, "asyncio.Task[Snapshot]"]


@router.get("/ui", name="get_account")
async def show_overview(
    request: Request, page: PageDep, resources: ResourcesDep, caller: CallerDep
) -> Response:
    """Shows what is wrong, and how the work flows."""
    seen = await _shared_look(request, resources, caller)
    return page.render(
        "overview.html",
        seen=seen,
        findings=findings(seen, page.now, resources.kinds.current),
        services=services_of(seen, resources.kinds.current),
        live_seconds=LIVE_SECONDS,
    )


async def _shared_look(request: Request, resources: Resources, caller: Caller) -> Snapshot:
    """One look at the ledger for all of a tenant who ask within some seconds.

    Raises:
        SQLAlchemyError: the ledger did not answer.
    """
    state = request.app.state
    looks: _Looks | None = getattr(state, _LOOKS, None)
    if looks is None:
        looks = TTLCache(_MOST_TENANTS, ttl=SHARED_SECONDS)
        setattr(state, _LOOKS, looks)
    looking = looks.get(caller.sees)
    if looking is None or (looking.done() and (looking.cancelled() or looking.exception() is not None)):
        looking = looks[caller.sees] = asyncio.create_task(_look(resources, caller))
    return await asyncio.shield(looking)


async def _look(resources: Resources, caller: Caller) -> Snapshot:
    now = resources.records.now()
    hour = await accounting_routes.get_account(
        resources, caller, AccountQuery(since=now - timedelta(hours=1), limit=1)
    )
    day = await accounting_routes.get_account(
        resources, caller, AccountQuery(since=now - timedelta(days=1), limit=MOST_GROUPS)
    )
    groups = await group_routes.get_dead_letter_groups(
        resources, caller, GroupQuery(limit=MOST_GROUPS + 1, state=GroupState.OPEN)
    )
    regressed = await group_routes.get_dead_letter_groups(
        resources, caller, GroupQuery(limit=MOST_GROUPS + 1, state=GroupState.REGRESSED)
    )
    return Snapshot(
        at=now,
        hour=hour,
        day=day,
        groups=[*regressed.items, *groups.items],
        work=await resources.records.read(lambda connection: open_work(connection, tenant=caller.sees)),
        broker_is_connected=resources.relay.is_connected,
    )
