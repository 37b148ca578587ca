"""Reads the counts of a time: all of it by kind and service, and one after another as a series."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, func, literal_column, select, type_coerce

from waybill_database import from_microseconds
from waybill_ledger.counts.counting import MINUTE_SECONDS
from waybill_ledger.counts.folding import HOUR_SECONDS
from waybill_ledger.schema import (
    CLASS_BOUNDS,
    COUNTED,
    COUNTS,
    HANDLER_CLASSES,
    PICKUP_CLASSES,
    SUBTASK_COUNTS,
    TASK_COUNTS,
    owned_by,
)

_MICROSECONDS: Final = 1_000_000
_IN_SERIES: Final = (*TASK_COUNTS, *SUBTASK_COUNTS)


@dataclass(frozen=True, slots=True)
class CountsQuery:
    """What is asked for: the counts of a time, with a series of steps."""

    since: datetime
    until: datetime
    #: Seconds of a step. Minutes that are older than two days are only known as part of their hour.
    step: int
    #: Owning tenant; None: all tenants.
    tenant: str | None = None
    kind: str | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts of one kind and service; the service is empty for tasks that were accepted."""

    kind: str
    service: str
    #: By the names of `COUNTED`.
    numbers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CountsRead:
    """What was counted in a time."""

    parts: Sequence[Counted]
    #: Of each step in which anything was counted: numbers by the names of tasks' and subtasks' counts.
    series: Mapping[datetime, Mapping[str, int]]


def read_counts(connection: Connection, wanted: CountsQuery) -> CountsRead:
    """The counts of a time."""
    conditions = _conditions(wanted)
    by_part = select(COUNTS.c.kind, COUNTS.c.service, *_sums(COUNTED)).where(*conditions)
    parts = [
        Counted(row.kind, row.service, dict(zip(COUNTED, map(int, row[2:]), strict=True)))
        for row in connection.execute(by_part.group_by(COUNTS.c.kind, COUNTS.c.service))
    ]
    step = _beginning(wanted.step)
    by_step = select(step, *_sums(_IN_SERIES)).where(*conditions).group_by(step).order_by(step)
    series = {
        from_microseconds(row[0]): dict(zip(_IN_SERIES, map(int, row[1:]), strict=True))
        for row in connection.execute(by_step)
    }
    return CountsRead(parts, series)


def percentiles(numbers: Iterable[int], *shares: float) -> list[float] | None:
    """Times in seconds that these shares of what was counted did not exceed; None: nothing was counted.

    Args:
        numbers: of each class of `CLASS_BOUNDS`, and of the last one.
        shares: from 0 to 1.

    Within a class they are taken to be spread evenly; in the last one, to be at its beginning.
    """
    counted = list(numbers)
    if not sum(counted):
        return None
    return [_percentile(counted, share) for share in shares]


def pickup_numbers(parts: Iterable[Counted]) -> list[int]:
    """Numbers of first attempts in each class of time until they began."""
    return _added(parts, PICKUP_CLASSES)


def handler_numbers(parts: Iterable[Counted]) -> list[int]:
    """Numbers of attempts in each class of time that they ran."""
    return _added(parts, HANDLER_CLASSES)


def _added(parts: Iterable[Counted], names: Sequence[str]) -> list[int]:
    rows = [[part.numbers[name] for name in names] for part in parts]
    return [sum(column) for column in zip(*rows, strict=True)] or [0] * len(names)


def _percentile(counted: Sequence[int], share: float) -> float:
    left = share * sum(counted)
    begins = 0.0
    for number, ends in zip(counted, CLASS_BOUNDS, strict=False):
        if number and left <= number:
            return begins + (ends - begins) * left / number
        left -= number
        begins = ends
    return begins


def _conditions(wanted: CountsQuery) -> list[ColumnElement[bool]]:
    lengths = [MINUTE_SECONDS] if wanted.step < HOUR_SECONDS else [MINUTE_SECONDS, HOUR_SECONDS]
    conditions = [
        COUNTS.c.seconds.in_(lengths),
        COUNTS.c.at >= wanted.since,
        COUNTS.c.at < wanted.until,
        *owned_by(wanted.tenant, COUNTS.c.tenant),
    ]
    if wanted.kind is not None:
        conditions.append(COUNTS.c.kind == wanted.kind)
    if wanted.service is not None:
        conditions.append(COUNTS.c.service == wanted.service)
    return conditions


def _sums(names: Iterable[str]) -> list[Any]:
    return [func.sum(COUNTS.c[name]) for name in names]


def _beginning(seconds: int) -> ColumnElement[int]:
    """The beginning of the step that a row belongs to, in microseconds."""
    at: Any = type_coerce(COUNTS.c.at, BigInteger)
    # As text, because PostgreSQL takes two parameters of a value for two values.
    beginning: ColumnElement[int] = at - at % literal_column(str(int(seconds) * _MICROSECONDS), BigInteger)
    return beginning
