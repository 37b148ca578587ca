"""Looks at the ledger, each kept for a moment for all who ask: hundreds may have the overview open."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from cachetools import LRUCache
from fastapi import Request

from waybill_gateway.auth import Caller
from waybill_gateway.desk import GroupQuery, GroupView, group_routes
from waybill_gateway.runtime import Resources
from waybill_gateway.stats.counted import CountsOf, counts_of, query_of
from waybill_gateway.stats.findings import Snapshot, findings
from waybill_gateway.stats.kept import Kept
from waybill_gateway.stats.measured import seen_by
from waybill_gateway.stats.models import FindingView, StatsQuery
from waybill_ledger import Measurement, last_measurement
from waybill_ledger.counts import read_counts
from waybill_ledger.deadletters import GroupState

#: Seconds for which what is read serves all who ask. Longer times have more rows.
FRESH_SECONDS, FRESH_LONG_SECONDS = 3.0, 30.0
#: Groups of failures that are looked at, of each state.
MOST_GROUPS: Final = 5
#: Values that are kept: of each tenant and question.
_MOST_KEPT: Final = 1_000
#: The place of the looks in the state of the application.
_LOOKS: Final = "stats_looks"


@dataclass(slots=True)
class Looks:
    """The looks of one gateway."""

    resources: Resources
    _measurement: Kept[Measurement | None] = field(init=False)
    _kept: LRUCache[Hashable, Kept[Any]] = field(default_factory=partial(LRUCache, _MOST_KEPT))

    def __post_init__(self) -> None:
        """Begins without any value."""
        read = partial(self.resources.records.read, last_measurement)
        self._measurement = Kept(read, FRESH_SECONDS)

    def counts(self, caller: Caller, asked: StatsQuery) -> Kept[CountsOf]:
        """What was counted."""
        key = (caller.sees, asked.within, asked.kind, asked.service)
        fresh = FRESH_SECONDS if asked.within == "1h" else FRESH_LONG_SECONDS
        return self._of(key, partial(self._count, caller.sees, asked), fresh)

    async def snapshot(self, caller: Caller, patience: float) -> Snapshot:
        """What the findings come from; as it was before, where that takes longer than so many seconds."""
        groups: Kept[list[GroupView]] = self._of(
            ("groups", caller.sees), partial(self._groups, caller), FRESH_SECONDS
        )
        return Snapshot(
            measured=seen_by(await self._measurement.get(patience), caller.sees),
            groups=await groups.get(patience) or [],
            is_whole=self._measurement.is_made and groups.is_made,
            broker_is_connected=self.resources.relay.is_connected,
        )

    def findings(self, seen: Snapshot) -> list[FindingView]:
        """What is wrong now."""
        return findings(seen, self.resources.records.now(), self.resources.kinds.current)

    def _of(self, key: Hashable, make: Any, fresh_seconds: float) -> Kept[Any]:
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = Kept(make, fresh_seconds)
        return kept

    async def _count(self, tenant: str | None, asked: StatsQuery) -> CountsOf:
        query = query_of(asked.within, self.resources.records.now(), tenant, asked.kind, asked.service)
        return counts_of(query, await self.resources.records.read(partial(read_counts, wanted=query)))

    async def _groups(self, caller: Caller) -> list[GroupView]:
        """Groups that need somebody, those that came back first."""
        found: list[GroupView] = []
        for state in (GroupState.REGRESSED, GroupState.OPEN):
            asked = GroupQuery(limit=MOST_GROUPS, state=state)
            found += (await group_routes.get_dead_letter_groups(self.resources, caller, asked)).items
        return found


def looks_of(request: Request, resources: Resources) -> Looks:
    """The looks of the gateway that answers a request."""
    state = request.app.state
    looks: Looks | None = getattr(state, _LOOKS, None)
    if looks is None:
        looks = Looks(resources)
        setattr(state, _LOOKS, looks)
    return looks
