"""The last measurement as one caller may see it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from waybill_contracts.states import State
from waybill_gateway.stats.models import NowStats, OpenStats, QueueStatsView
from waybill_ledger import DEFAULT_TENANT, Gap, Measurement, OpenWork, QueueMeasured


@dataclass(frozen=True, slots=True)
class Seen:
    """What the status service has measured, as far as a tenant may know."""

    at: datetime
    work: Sequence[OpenWork]
    #: Tasks of the last day that cannot be placed.
    gaps: Sequence[Gap]
    #: None: the broker was away.
    queues: Mapping[str, QueueMeasured] | None
    unpublished: int
    oldest_unpublished: datetime | None
    bytes: int
    #: Whether it is that of the whole installation, with what all tenants share.
    is_whole: bool


def seen_by(measurement: Measurement | None, tenant: str | None) -> Seen | None:
    """The measurement as a tenant may see it; None as tenant: all of it."""
    if measurement is None:
        return None
    work = measurement.work if tenant is None else {tenant: measurement.work.get(tenant, [])}
    return Seen(
        at=measurement.at,
        work=_added(each for parts in work.values() for each in parts),
        gaps=[gap for owner, gap in sorted(measurement.gaps.items()) if tenant in {None, owner}],
        queues=measurement.queues,
        unpublished=measurement.unpublished,
        oldest_unpublished=measurement.oldest_unpublished,
        bytes=measurement.bytes,
        is_whole=tenant is None or (tenant == DEFAULT_TENANT and not measurement.has_tenants),
    )


def now_of(seen: Seen, now: datetime) -> NowStats:
    """The measurement as the API answers it."""
    return NowStats(
        measured_at=seen.at,
        services={service: _open(parts, now) for service, parts in by_service(seen.work).items()},
        queues=seen.queues
        and {
            name: QueueStatsView(
                messages=queue.messages if seen.is_whole else None, consumers=queue.consumers
            )
            for name, queue in sorted(seen.queues.items())
        },
        outbox_tasks=seen.unpublished if seen.is_whole else None,
        outbox_lag_seconds=_age(seen.oldest_unpublished, now) or 0.0 if seen.is_whole else None,
        accounting_gap=sum(gap.tasks for gap in seen.gaps),
        ledger_bytes=seen.bytes if seen.is_whole else None,
    )


def by_service(work: Iterable[OpenWork]) -> dict[str, list[OpenWork]]:
    """Open work of each service, in the order of their names."""
    found: dict[str, list[OpenWork]] = {}
    for part in sorted(work, key=lambda part: part.service):
        found.setdefault(part.service, []).append(part)
    return found


def _added(work: Iterable[OpenWork]) -> list[OpenWork]:
    """The work of several tenants together."""
    found: dict[tuple[str, State], OpenWork] = {}
    for part in work:
        other = found.get((part.service, part.state))
        found[part.service, part.state] = (
            part
            if other is None
            else OpenWork(
                part.service,
                part.state,
                part.subtasks + other.subtasks,
                min(part.oldest, other.oldest),
                part.put_back + other.put_back,
            )
        )
    return list(found.values())


def _open(parts: Sequence[OpenWork], now: datetime) -> OpenStats:
    pending = [part.oldest for part in parts if part.state is State.PENDING]
    return OpenStats(
        subtasks={part.state: part.subtasks for part in parts},
        put_back=sum(part.put_back for part in parts),
        oldest_pending_seconds=_age(min(pending, default=None), now),
    )


def _age(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else max((now - since).total_seconds(), 0.0)
