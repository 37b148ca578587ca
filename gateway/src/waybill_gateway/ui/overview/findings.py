"""What is wrong now, the worst first, each with the page that helps. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from waybill_contracts.registry import Registry
from waybill_contracts.states import State
from waybill_gateway.desk import GroupView
from waybill_gateway.tasks import AccountView
from waybill_gateway.ui.frame import formats
from waybill_ledger import OpenWork

#: Seconds that work may wait before the page says so.
LAG_SECONDS: Final = 60
#: Letters of a group that are not done with.
_OPEN_LETTERS: Final = ("dead", "redriving")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at the ledger."""

    #: Accounts of the tasks that were accepted in the last hour and day; None: not made yet.
    hour: AccountView | None
    day: AccountView | None
    #: Groups of failures that are open, the regressed ones first; some of them, if there are many.
    groups: Sequence[GroupView]
    work: Sequence[OpenWork]
    broker_is_connected: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that needs a person."""

    #: `bad`: work is lost or fails until somebody acts; `warn`: work waits.
    weight: str
    title: str
    words: str
    #: Path and parameters of the page that helps.
    path: str
    query: dict[str, Any] = field(default_factory=dict)


def findings(seen: Snapshot, now: datetime, registry: Registry) -> list[Finding]:
    """Tasks without a known place, a broker that is away, services that stand still, failures."""
    return [*_unplaced(seen), *_away(seen), *_standing_still(seen, now, registry), *_failures(seen, now)]


def _unplaced(seen: Snapshot) -> Iterator[Finding]:
    if seen.day is None:
        return
    if seen.day.unplaced.items:
        reasons = "; ".join(seen.day.unplaced.items[0].reasons)
        yield Finding(
            "bad",
            f"{seen.day.unplaced.count:,} of the last day's tasks cannot be placed",
            f"The first: {reasons}.",
            f"/ui/tasks/{seen.day.unplaced.items[0].id}",
        )
    elif not seen.day.balanced:
        yield Finding(
            "bad", "The account of the last day does not add up", "Look at GET /v1/accounting.", "/ui/tasks"
        )


def _away(seen: Snapshot) -> Iterator[Finding]:
    if not seen.broker_is_connected:
        yield Finding(
            "warn",
            "The broker cannot be reached from here",
            "Tasks are accepted and stored; they are published when it is back.",
            "/ui/tasks",
            {"state": State.PENDING.value},
        )


def _standing_still(seen: Snapshot, now: datetime, registry: Registry) -> Iterator[Finding]:
    runs = {part.service for part in seen.work if part.state is State.RUNNING}
    for part in seen.work:
        waited = (now - part.oldest).total_seconds()
        if part.state is not State.PENDING or waited < LAG_SECONDS:
            continue
        known = registry.services.get(part.service)
        if known is not None and known.is_retired:
            why = "It is retired."
        elif part.service in runs:
            why = "It works, but not as fast as tasks come."
        else:
            why = "It works on nothing: does a process of it run, and does it reach the broker?"
        yield Finding(
            "warn" if part.service in runs else "bad",
            f"{part.service}: {part.subtasks:,} wait, the oldest for {formats.duration(waited)}",
            why,
            "/ui/tasks",
            {"service": part.service, "state": State.PENDING.value},
        )


def _failures(seen: Snapshot, now: datetime) -> Iterator[Finding]:
    for group in seen.groups:
        number = sum(count for state, count in group.letters.items() if state.value in _OPEN_LETTERS)
        came_back = "It had been closed, and came back. " if group.state.value == "regressed" else ""
        yield Finding(
            "bad",
            f"{group.service}: {number:,} failed for good with {group.error_type}",
            f"{came_back}{group.message}, last {formats.relative(group.last_seen, now)}",
            f"/ui/failures/{group.id}",
        )
