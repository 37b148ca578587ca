"""Keeps the counts few: those of old minutes are added to those of their hours, and old hours deleted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, delete, select, tuple_

from waybill_ledger.counts.counting import MINUTE_SECONDS, adding
from waybill_ledger.schema import COUNTED, COUNTS

HOUR_SECONDS: Final = 3600
#: How long the counts of minutes are kept before they are added to those of their hours, and these: for 90
#: days, of which the first is shown whole.
KEEP_MINUTES: Final = timedelta(days=2)
KEEP_HOURS: Final = timedelta(days=91)
_KEY: Final = tuple(COUNTS.primary_key)


@dataclass(frozen=True, slots=True)
class FoldStep:
    """Request to add the minutes before one time to their hours, and to delete the hours before another."""

    minutes_before: datetime
    hours_before: datetime
    #: Most rows of each to examine.
    most: int
    #: Unused: a step begins with the oldest rows that are left.
    after: str = ""


@dataclass(frozen=True, slots=True)
class FoldedStep:
    """Result of a step."""

    #: Number of rows of minutes that are now part of an hour, and of hours that were deleted.
    rows: int
    #: Empty: there may be more rows; None: all are done.
    after: str | None


def fold_counts(connection: Connection, steps: Sequence[FoldStep]) -> Sequence[FoldedStep]:
    """Folds counts, of which none is lost or counted twice; a batch write for `Records.write`."""
    return [_fold(connection, step) for step in steps]


def _fold(connection: Connection, step: FoldStep) -> FoldedStep:
    minutes = _oldest(connection, MINUTE_SECONDS, step.minutes_before, step.most, *COUNTS.c)
    hours: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in minutes:
        at = row.at.replace(minute=0, second=0, microsecond=0)
        # The sessions that counted are over.
        key = {"seconds": HOUR_SECONDS, "at": at, "tenant": row.tenant, "kind": row.kind}
        key |= {"service": row.service, "session": 0}
        hour = hours.setdefault(tuple(key.values()), key | dict.fromkeys(COUNTED, 0))
        for name in COUNTED:
            hour[name] += getattr(row, name)
    if hours:
        # In one order, so that two processes cannot wait for each other.
        connection.execute(adding(connection.dialect.name, *COUNTED), [hours[key] for key in sorted(hours)])
    old = _oldest(connection, HOUR_SECONDS, step.hours_before, step.most, *_KEY)
    gone = [tuple(row)[: len(_KEY)] for row in (*minutes, *old)]
    if gone:
        connection.execute(delete(COUNTS).where(tuple_(*_KEY).in_(gone)))
    return FoldedStep(len(gone), "" if step.most in {len(minutes), len(old)} else None)


def _oldest(
    connection: Connection, seconds: int, before: datetime, most: int, *columns: Any
) -> Sequence[Any]:
    """Rows that nobody is changing: a late report may add to an old minute."""
    query = select(*columns).where(COUNTS.c.seconds == seconds, COUNTS.c.at < before)
    return connection.execute(query.order_by(*_KEY).limit(most).with_for_update(skip_locked=True)).all()
