"""The counts of a time as the API answers them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from waybill_gateway.stats.models import Percentiles, ServiceStats, StepStats, TaskStats, Within
from waybill_ledger.counts import (
    Counted,
    CountsQuery,
    CountsRead,
    handler_numbers,
    percentiles,
    pickup_numbers,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHARES: Final = (0.5, 0.95, 0.99)
#: Length of each time, and of the steps of its series.
WINDOWS: Final[Mapping[Within, tuple[timedelta, timedelta]]] = MappingProxyType(
    {
        "1h": (timedelta(hours=1), timedelta(minutes=1)),
        "1d": (timedelta(days=1), timedelta(minutes=15)),
        "7d": (timedelta(days=7), timedelta(hours=2)),
        "30d": (timedelta(days=30), timedelta(hours=6)),
        "90d": (timedelta(days=90), timedelta(days=1)),
    }
)


@dataclass(frozen=True, slots=True)
class CountsOf:
    """What was counted in a time."""

    since: datetime
    until: datetime
    step: timedelta
    total: TaskStats
    kinds: Mapping[str, TaskStats]
    services: Mapping[str, ServiceStats]
    series: Sequence[StepStats]

    @property
    def seconds(self) -> float:
        """Length of the time."""
        return (self.until - self.since).total_seconds()


def query_of(
    within: Within, now: datetime, tenant: str | None, kind: str | None = None, service: str | None = None
) -> CountsQuery:
    """What to read: from the beginning of a step on, so that the first one is whole."""
    length, step = WINDOWS[within]
    since = now - length
    since -= (since - _EPOCH) % step
    return CountsQuery(since, now, int(step.total_seconds()), tenant, kind, service)


def counts_of(asked: CountsQuery, read: CountsRead) -> CountsOf:
    """What was read, by kind, service and step."""
    kinds = sorted({part.kind for part in read.parts})
    services = sorted({part.service for part in read.parts if part.service})
    step = timedelta(seconds=asked.step)
    return CountsOf(
        since=asked.since,
        until=asked.until,
        step=step,
        total=_tasks(read.parts),
        kinds={kind: _tasks([part for part in read.parts if part.kind == kind]) for kind in kinds},
        services={
            service: _service([part for part in read.parts if part.service == service])
            for service in services
        },
        series=list(_steps(asked, step, read.series)),
    )


def _tasks(parts: Sequence[Counted]) -> TaskStats:
    return TaskStats(
        accepted=_sum(parts, "accepted"),
        completed=_sum(parts, "tasks_completed"),
        failed=_sum(parts, "tasks_failed"),
        cancelled=_sum(parts, "tasks_cancelled"),
        pickup_seconds=_percentiles(pickup_numbers(parts)),
        handler_seconds=_percentiles(handler_numbers(parts)),
    )


def _service(parts: Sequence[Counted]) -> ServiceStats:
    return ServiceStats(
        completed=_sum(parts, "completed"),
        failed=_sum(parts, "failed"),
        cancelled=_sum(parts, "cancelled"),
        attempts=_sum(parts, "attempts"),
        retries=_sum(parts, "retries"),
        snoozes=_sum(parts, "snoozes"),
        pickup_seconds=_percentiles(pickup_numbers(parts)),
        handler_seconds=_percentiles(handler_numbers(parts)),
    )


def _steps(
    asked: CountsQuery, step: timedelta, read: Mapping[datetime, Mapping[str, int]]
) -> Iterable[StepStats]:
    at = asked.since
    while at < asked.until:
        numbers = read.get(at, {})
        yield StepStats(
            at=at,
            accepted=numbers.get("accepted", 0),
            completed=numbers.get("tasks_completed", 0),
            failed=numbers.get("tasks_failed", 0),
            cancelled=numbers.get("tasks_cancelled", 0),
            attempts=numbers.get("attempts", 0),
            retries=numbers.get("retries", 0),
            snoozes=numbers.get("snoozes", 0),
        )
        at += step


def _sum(parts: Iterable[Counted], name: str) -> int:
    return sum(part.numbers[name] for part in parts)


def _percentiles(numbers: Sequence[int]) -> Percentiles | None:
    found = percentiles(numbers, *_SHARES)
    return None if found is None else Percentiles(p50=found[0], p95=found[1], p99=found[2])
