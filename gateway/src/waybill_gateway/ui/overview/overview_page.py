"""The overview: what needs a person first, then the flow of the last hour and day."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from cachetools import LRUCache
from fastapi import Request, Response

from waybill_gateway.auth import Caller, CallerDep
from waybill_gateway.desk import GroupQuery, GroupView, group_routes
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_gateway.tasks import AccountQuery, AccountView, accounting_routes
from waybill_gateway.ui.frame import PageDep, pages_router
from waybill_gateway.ui.overview.findings import Snapshot, findings
from waybill_gateway.ui.overview.kept import Kept
from waybill_gateway.ui.overview.services import services_of
from waybill_ledger import OpenWork, open_work
from waybill_ledger.deadletters import GroupState

router = pages_router()

#: Seconds for which what is read serves all who look at the page: hundreds may. The account of a day reads
#: every task of it.
FRESH_SECONDS, FRESH_DAY_SECONDS = 3.0, 30.0
#: Seconds that the page waits for an account; without one it says so.
PATIENCE: Final = 0.1
#: Seconds after which the page renews itself.
LIVE_SECONDS: Final = 5
#: Groups of failures that the page lists, of each state.
MOST_GROUPS: Final = 5
#: Tenants whose values are kept.
_MOST_TENANTS: Final = 1_000
#: The place of the values in the state of the application.
_LOOKS: Final = "overview_looks"


@dataclass(frozen=True, slots=True)
class Looks:
    """What the page of one tenant shows."""

    groups: Kept[list[GroupView]]
    work: Kept[list[OpenWork]]
    hour: Kept[AccountView]
    day: Kept[AccountView]


@router.get("/ui", name="get_account")
async def show_overview(
    request: Request, page: PageDep, resources: ResourcesDep, caller: CallerDep
) -> Response:
    """Shows what is wrong, and how the work flows."""
    looks = _looks(request, resources, caller)
    seen = Snapshot(
        groups=await looks.groups.get() or [],
        work=await looks.work.get() or [],
        hour=await looks.hour.get(PATIENCE),
        day=await looks.day.get(PATIENCE),
        broker_is_connected=resources.relay.is_connected,
    )
    return page.render(
        "overview.html",
        seen=seen,
        findings=findings(seen, page.now, resources.kinds.current),
        services=services_of(seen, resources.kinds.current),
        live_seconds=LIVE_SECONDS,
    )


def _looks(request: Request, resources: Resources, caller: Caller) -> Looks:
    """The values of the caller's tenant, or of all."""
    state = request.app.state
    by_tenant: LRUCache[str | None, Looks] | None = getattr(state, _LOOKS, None)
    if by_tenant is None:
        by_tenant = LRUCache(_MOST_TENANTS)
        setattr(state, _LOOKS, by_tenant)
    looks = by_tenant.get(caller.sees)
    if looks is None:
        looks = by_tenant[caller.sees] = Looks(
            groups=Kept(partial(_groups, resources, caller), FRESH_SECONDS),
            work=Kept(partial(_work, resources, caller), FRESH_SECONDS),
            hour=Kept(partial(_account, resources, caller, timedelta(hours=1)), FRESH_SECONDS),
            day=Kept(partial(_account, resources, caller, timedelta(days=1)), FRESH_DAY_SECONDS),
        )
    return looks


async def _account(resources: Resources, caller: Caller, within: timedelta) -> AccountView:
    since = resources.records.now() - within
    return await accounting_routes.get_account(resources, caller, AccountQuery(since=since, limit=1))


async def _groups(resources: Resources, caller: Caller) -> list[GroupView]:
    """Groups that need somebody, those that came back first."""
    found: list[GroupView] = []
    for state in (GroupState.REGRESSED, GroupState.OPEN):
        asked = GroupQuery(limit=MOST_GROUPS, state=state)
        found += (await group_routes.get_dead_letter_groups(resources, caller, asked)).items
    return found


async def _work(resources: Resources, caller: Caller) -> list[OpenWork]:
    return await resources.records.read(partial(open_work, tenant=caller.sees))
