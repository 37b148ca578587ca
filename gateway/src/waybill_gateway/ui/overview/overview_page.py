"""The overview: what needs a person first, then how the work flows."""

from types import MappingProxyType
from typing import Annotated, Final

from fastapi import Query, Request, Response

from waybill_gateway.auth import CallerDep
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.stats import CountsOf, StatsQuery, Within, looks_of
from waybill_gateway.ui.frame import PageDep, pages_router
from waybill_gateway.ui.overview.charts import HEIGHT, OUTCOMES, WIDTH, chart_of
from waybill_gateway.ui.overview.services import services_of

router = pages_router()

#: Seconds that the page waits for each of its numbers; without them it says so.
PATIENCE: Final = 0.05
#: Seconds after which the page renews itself.
LIVE_SECONDS: Final = 5
#: Kinds that the page lists; the rest is one click away.
MOST_KINDS: Final = 50
#: Lengths of time that the page offers.
WINDOWS: Final = MappingProxyType(
    {
        "1h": "last hour",
        "1d": "last day",
        "7d": "last 7 days",
        "30d": "last 30 days",
        "90d": "last 90 days",
    }
)


@router.get("/ui", name="get_stats")
async def show_overview(
    request: Request,
    page: PageDep,
    resources: ResourcesDep,
    caller: CallerDep,
    within: Annotated[Within, Query()] = "1h",
) -> Response:
    """Shows what is wrong, and how the work flows."""
    looks = looks_of(request, resources)
    seen = await looks.snapshot(caller, PATIENCE)
    counted: dict[str, CountsOf | None] = {
        each: await looks.counts(caller, StatsQuery(within=each)).get(PATIENCE)
        for each in dict.fromkeys((*_ALWAYS, within))
    }
    chosen = counted[within]
    return page.render(
        "overview.html",
        seen=seen,
        findings=looks.findings(seen),
        services=services_of(seen.measured, resources.kinds.current),
        windows=WINDOWS,
        within=within,
        counted=counted,
        chosen=chosen,
        kinds=[] if chosen is None else _busiest(chosen),
        chart=None if chosen is None else chart_of(chosen),
        outcomes=OUTCOMES,
        width=WIDTH,
        height=HEIGHT,
        live_seconds=LIVE_SECONDS,
    )


_ALWAYS: Final[tuple[Within, Within]] = ("1h", "1d")


def _busiest(counts: CountsOf) -> list[tuple[str, object]]:
    kinds = sorted(counts.kinds.items(), key=lambda kind: -kind[1].accepted - kind[1].completed)
    return list(kinds[:MOST_KINDS])
