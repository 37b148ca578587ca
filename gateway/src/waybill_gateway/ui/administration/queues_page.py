"""What waits where: the queues at the broker, the open work of each service, the outbox."""

from fastapi import Request, Response

from waybill_gateway.auth import CallerDep
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.stats import StatsQuery, routes
from waybill_gateway.ui.frame import PageDep, pages_router

router = pages_router()

#: Seconds after which the page renews itself: the status service measures now and then.
LIVE_SECONDS = 5


@router.get("/ui/queues", name="get_stats")
async def show_queues(
    request: Request, page: PageDep, resources: ResourcesDep, caller: CallerDep
) -> Response:
    """Shows the last measurement of the status service."""
    stats = await routes.get_stats(request, resources, caller, StatsQuery(within="1h"))
    return page.render("administration/queues.html", now=stats.now, live_seconds=LIVE_SECONDS)
