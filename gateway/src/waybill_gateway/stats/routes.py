"""The numbers of the overview: rates, durations, what is open, what is wrong."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request

from waybill_gateway.auth import CallerDep, GuardedRoute
from waybill_gateway.http import ledger_unavailable
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.stats.looks import looks_of
from waybill_gateway.stats.measured import now_of
from waybill_gateway.stats.models import StatsQuery, StatsView

#: Seconds that an answer waits for the groups of failures, which may be many.
PATIENCE: Final = 5.0

router = APIRouter(tags=["tasks"], route_class=GuardedRoute)


@router.get("/v1/stats")
async def get_stats(
    request: Request, resources: ResourcesDep, caller: CallerDep, asked: Annotated[StatsQuery, Query()]
) -> StatsView:
    """Shows what happened in the last hour, day or month, what is open now, and what needs a person.

    Tasks are counted when they happen, so the answer takes no longer with millions of them. Numbers are some
    seconds old at most: one look at the ledger serves all callers.
    """
    looks = looks_of(request, resources)
    seen = await looks.snapshot(caller, PATIENCE)
    counts = await looks.counts(caller, asked).get()
    if counts is None or not seen.is_whole:
        # The last look has failed after long: the next one is not yet due.
        raise ledger_unavailable()
    return StatsView(
        since=counts.since,
        until=counts.until,
        seconds=counts.seconds,
        step_seconds=int(counts.step.total_seconds()),
        total=counts.total,
        kinds=dict(counts.kinds),
        services=dict(counts.services),
        series=list(counts.series),
        now=None if seen.measured is None else now_of(seen.measured, resources.records.now()),
        findings=looks.findings(seen),
    )
