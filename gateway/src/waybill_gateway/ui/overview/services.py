"""The open work of each service. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from waybill_contracts.registry import Registry
from waybill_contracts.states import State
from waybill_gateway.ui.overview.findings import Snapshot


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service and its open subtasks."""

    name: str
    release: str | None
    is_retired: bool
    pending: int
    running: int
    retrying: int
    scheduled: int
    #: Since when its longest waiting subtask is pending.
    oldest: datetime | None


def services_of(seen: Snapshot, registry: Registry) -> Sequence[ServiceRow]:
    """A row for each registered service in use, and for each other one that has open work."""
    open_of = {(part.service, part.state): part for part in seen.work}
    in_use = {name for name, service in registry.services.items() if not service.is_retired}
    rows = []
    for name in sorted(in_use | {part.service for part in seen.work}):
        known = registry.services.get(name)
        numbers = {state: open_of[name, state].subtasks if (name, state) in open_of else 0 for state in State}
        waits = open_of.get((name, State.PENDING))
        rows.append(
            ServiceRow(
                name=name,
                release=None if known is None else known.manifest.release,
                is_retired=known is None or known.is_retired,
                pending=numbers[State.PENDING],
                running=numbers[State.RUNNING],
                retrying=numbers[State.RETRYING],
                scheduled=numbers[State.SCHEDULED],
                oldest=None if waits is None else waits.oldest,
            )
        )
    return rows
