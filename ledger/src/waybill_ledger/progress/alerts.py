"""Alerts about failures: a new kind is reported at once, all others in digests.

The first failure of a kind (`fingerprint`) opens a window, unless one is open. While a window is open
failures are counted, and only a few more new kinds are reported at once. When it ends, one digest reports the
counts, and a longer window begins; a window without failures is the last. So each window has a few mails and
one digest, however many tasks fail.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from waybill_ledger.progress.erased_words import ERASED
from waybill_ledger.progress.fingerprint import MAX_LENGTH, fingerprint
from waybill_ledger.progress.merge import Failure
from waybill_ledger.schema import ALERT_GROUPS, ALERT_WINDOW

#: While failures continue, each window is twice as long as the previous one, up to this many doublings.
MOST_DOUBLINGS: Final = 4
#: Kinds that a digest lists, those with the most failures; it only counts the others.
MOST_GROUPS: Final = 20


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """Limits of alerts.

    Attributes:
        window: from the first failure to the digest about the others.
        most_at_once: new kinds reported at once in one window.
        quiet: a kind without failures for so long counts as new again.
    """

    window: timedelta
    most_at_once: int
    quiet: timedelta


@dataclass(frozen=True, slots=True)
class Group:
    """Failures of one kind since the last report."""

    service: str
    kind: str
    error_type: str
    #: Of the latest one, shortened.
    error_message: str
    #: The latest one.
    task_id: str
    count: int
    last_at: datetime
    #: Whether this kind is reported for the first time.
    is_new: bool


@dataclass(frozen=True, slots=True)
class Digest:
    """Failures of one window that were not reported at once."""

    since: datetime
    until: datetime
    #: The largest groups, largest first.
    groups: list[Group]
    failures: int
    #: Number of kinds, including those in `groups`.
    kinds: int


def count_failures(
    connection: Connection, failures: Sequence[Failure], policy: AlertPolicy, now: datetime
) -> list[Failure]:
    """Counts failures, in the transaction of the caller.

    Returns:
        Failures to report at once; a digest reports the others.
    """
    if not failures:
        return []
    by_kind: dict[str, list[Failure]] = defaultdict(list)
    for failure in failures:
        by_kind[_fingerprint(failure)].append(failure)
    # Every writer waits for this row, so that no two find the same kind new.
    window = connection.execute(select(ALERT_WINDOW).with_for_update()).one()
    connection.execute(
        delete(ALERT_GROUPS).where(ALERT_GROUPS.c.untold == 0, ALERT_GROUPS.c.last_at < now - policy.quiet)
    )
    known = set(
        connection.scalars(select(ALERT_GROUPS.c.fingerprint).where(ALERT_GROUPS.c.fingerprint.in_(by_kind)))
    )
    new = [kind for kind in by_kind if kind not in known]
    at_once = new[: max(0, policy.most_at_once - window.told_at_once)]
    if new:
        reported_at = dict.fromkeys(at_once, now)
        connection.execute(
            insert(ALERT_GROUPS), [_new_row(kind, by_kind[kind], reported_at.get(kind), now) for kind in new]
        )
    if known:
        connection.execute(_COUNT, [_counted(kind, by_kind[kind], now) for kind in known])
    connection.execute(
        update(ALERT_WINDOW).values(
            begins_at=window.begins_at or now,
            ends_at=window.ends_at or now + policy.window,
            told_at_once=window.told_at_once + len(at_once),
        )
    )
    return [by_kind[kind][0] for kind in at_once]


def erase_samples(connection: Connection, task_ids: Sequence[str]) -> None:
    """Erases the messages of failures of these tasks; their counts stay."""
    of_them = ALERT_GROUPS.c.sample["task_id"].as_string().in_(task_ids)
    query = select(ALERT_GROUPS.c.fingerprint, ALERT_GROUPS.c.sample).where(of_them)
    for row in connection.execute(query).all():
        connection.execute(
            update(ALERT_GROUPS)
            .where(ALERT_GROUPS.c.fingerprint == row.fingerprint)
            .values(sample=row.sample | {"error_message": ERASED})
        )


def digest_due(connection: Connection) -> datetime | None:
    """When the open window ends; None if no window is open."""
    ends_at: datetime | None = connection.scalar(select(ALERT_WINDOW.c.ends_at))
    return ends_at


def end_window(connection: Connection, policy: AlertPolicy, now: datetime) -> Digest | None:
    """Ends the window if it is due, in the transaction of the caller; of two callers one does.

    Returns:
        The digest to report; None if nothing was counted or nothing is due.
    """
    window = connection.execute(select(ALERT_WINDOW).with_for_update()).one()
    if window.ends_at is None or window.ends_at > now:
        return None
    digest = _digest(connection, window.begins_at, now)
    connection.execute(update(ALERT_GROUPS).where(ALERT_GROUPS.c.untold > 0).values(untold=0, told_at=now))
    if digest is None:
        following: dict[str, object] = {"begins_at": None, "ends_at": None, "digests": 0}
    else:
        digests = window.digests + 1
        longer = policy.window * (1 << min(digests, MOST_DOUBLINGS))
        following = {"begins_at": now, "ends_at": now + longer, "digests": digests}
    connection.execute(update(ALERT_WINDOW).values(told_at_once=0, **following))
    return digest


def _digest(connection: Connection, since: datetime, now: datetime) -> Digest | None:
    untold = ALERT_GROUPS.c.untold
    kinds, failures = connection.execute(select(func.count(), func.sum(untold)).where(untold > 0)).one()
    if not kinds:
        return None
    largest = select(ALERT_GROUPS).where(untold > 0).order_by(untold.desc(), ALERT_GROUPS.c.fingerprint)
    rows = connection.execute(largest.limit(MOST_GROUPS))
    return Digest(since, now, [_group(row) for row in rows], int(failures), kinds)


def _group(row: Row[Any]) -> Group:
    return Group(**row.sample, count=row.untold, last_at=row.last_at, is_new=row.told_at is None)


def _fingerprint(failure: Failure) -> str:
    error = failure.data.error
    return fingerprint(
        failure.data.service, failure.kind, error.type if error else "", error.message if error else ""
    )


def _sample(failure: Failure) -> dict[str, str]:
    error = failure.data.error
    return {
        "service": failure.data.service,
        "kind": failure.kind,
        "error_type": error.type if error else "unknown",
        "error_message": error.message[:MAX_LENGTH] if error else "",
        "task_id": failure.task_id,
    }


def _new_row(
    kind: str, failures: Sequence[Failure], told_at: datetime | None, now: datetime
) -> dict[str, object]:
    return {
        "fingerprint": kind,
        "sample": _sample(failures[-1]),
        "last_at": now,
        "untold": len(failures) - (told_at is not None),
        "told_at": told_at,
    }


def _counted(kind: str, failures: Sequence[Failure], now: datetime) -> dict[str, object]:
    return {
        "b_fingerprint": kind,
        "b_sample": _sample(failures[-1]),
        "b_last_at": now,
        "b_more": len(failures),
    }


_COUNT = (
    update(ALERT_GROUPS)
    .where(ALERT_GROUPS.c.fingerprint == bindparam("b_fingerprint"))
    .values(
        sample=bindparam("b_sample"),
        last_at=bindparam("b_last_at"),
        untold=ALERT_GROUPS.c.untold + bindparam("b_more"),
    )
)
