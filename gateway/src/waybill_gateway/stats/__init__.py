"""The numbers of the overview: what was counted, what was measured last, and what is wrong now."""

from waybill_gateway.stats import routes
from waybill_gateway.stats.counted import CountsOf
from waybill_gateway.stats.findings import Snapshot, findings
from waybill_gateway.stats.looks import Looks, looks_of
from waybill_gateway.stats.measured import Seen, by_service, seen_by
from waybill_gateway.stats.models import (
    FindingView,
    ServiceStats,
    StatsQuery,
    StatsView,
    StepStats,
    TaskStats,
    Within,
)

__all__ = [
    "CountsOf",
    "FindingView",
    "Looks",
    "Seen",
    "ServiceStats",
    "Snapshot",
    "StatsQuery",
    "StatsView",
    "StepStats",
    "TaskStats",
    "Within",
    "by_service",
    "findings",
    "looks_of",
    "routes",
    "seen_by",
]
