"""Which failures the operators are told of, and when: a new kind at once, all else in digests.

The first failure of a kind (`fingerprint`) opens a window, unless one is open. While it is open failures are
only counted, but for a few more new kinds that are told at once. When it ends, one digest tells what was
counted, and a longer window begins; one in which nothing was counted is the last. So however many tasks fail,
in however many ways, each window has a few mails and a digest.
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
from waybill_ledger.schema.tables import ALERT_GROUPS, ALERT_WINDOW

#: While failures go on, each window is twice as long as the one before; after so many doublings it stays.
MOST_DOUBLINGS: Final = 4
#: Kinds that a digest tells, those with the most failures; the others are only counted.
MOST_GROUPS: Final = 20


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """How much the operators are told.

    Attributes:
        window: from the first failure to the digest about the others.
        most_at_once: new kinds that are told at once in one window.
        quiet: a kind that has not been seen for so long is new again.
    """

    window: timedelta
    most_at_once: int
    quiet: timedelta


@dataclass(frozen=True, slots=True)
class Group:
    """Failures of one kind, since they were last told."""

    service: str
    kind: str
    error_type: str
    #: Of the latest one, cut.
    error_message: str
    #: The latest one.
    task_id: str
    count: int
    last_at: datetime
    #: Whether this kind is told for the first time.
    is_new: bool


@dataclass(frozen=True, slots=True)
class Digest:
    """The failures of one window that were not told at once."""

    since: datetime
    until: datetime
    #: The largest groups, the largest first.
    groups: list[Group]
    failures: int
    #: How many kinds there are, those in `groups` included.
    kinds: int


def count_failures(
    connection: Connection, failures: Sequence[Failure], policy: AlertPolicy, now: datetime
) -> list[Failure]:
    """Counts failures, in the caller's transaction.

    Returns:
        Those that are to be told at once; a digest tells the others.
    """
    if not failures:
        return []
    by_kind: dict[str, list[Failure]] = defaultdict(list)
    for failure in failures:
        by_kind[_fingerprint(failure)].append(failure)
    # Everyone who counts waits for this row, so that no two of them find the same kind new.
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
        told = dict.fromkeys(at_once, now)
        connection.execute(
            insert(ALERT_GROUPS), [_new_row(kind, by_kind[kind], told.get(kind), now) for kind in new]
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
    """Forgets the words of these tasks' failures; that there were so many stays."""
    of_them = ALERT_GROUPS.c.sample["task_id"].as_string().in_(task_ids)
    query = select(ALERT_GROUPS.c.fingerprint, ALERT_GROUPS.c.sample).where(of_them)
    for row in connection.execute(query).all():
        connection.execute(
            update(ALERT_GROUPS)
            .where(ALERT_GROUPS.c.fingerprint == row.fingerprint)
            .values(sample=row.sample | {"error_message": ERASED})
        )


def digest_due(connection: Connection) -> datetime | None:
    """When the open window ends; None if there is none."""
    ends_at: datetime | None = connection.scalar(select(ALERT_WINDOW.c.ends_at))
    return ends_at


def end_window(connection: Connection, policy: AlertPolicy, now: datetime) -> Digest | None:
    """Ends the window if its time has come, in the caller's transaction; of two callers only one does.

    Returns:
        What is to be told, if anything was counted.
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
