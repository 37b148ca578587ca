"""Queries for groups: letters by state, trend, and state of the group."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    String,
    case,
    false,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
    update,
)

from waybill_database import from_microseconds, microseconds
from waybill_ledger.audit import AuditEntry, record
from waybill_ledger.deadletters import GroupState, LetterState
from waybill_ledger.listings import GROUP_DIGITS, begins_with, decoded_key, encoded_key
from waybill_ledger.schema import DEAD_LETTER_GROUPS as GROUPS
from waybill_ledger.schema import DEAD_LETTERS, owned_by

#: How far back the trend goes; one number an hour.
TREND_HOURS: Final = 24
_HOUR_US: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class GroupFilter:
    """Conditions on groups; None: no condition."""

    state: GroupState | None = None
    #: Owning tenant; None: all, including those without a tenant.
    tenant: str | None = None
    service: str | None = None
    kind: str | None = None
    #: Part of the message or of the type of the error.
    q: str | None = None
    #: Prefix of the id.
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Letters with the same fingerprint."""

    id: str
    state: GroupState
    service: str
    kind: str | None
    error_type: str
    #: Normalised, without details.
    message: str
    frame: str | None
    #: Letters by state, without pruned ones.
    letters: dict[LetterState, int]
    #: Letters ever, including pruned ones.
    total: int
    first_seen: datetime
    last_seen: datetime
    #: Deaths in each of the last 24 hours, the current one last.
    trend: list[int]
    #: Latest letter.
    sample: int
    note: str | None


@dataclass(frozen=True, slots=True)
class GroupPage:
    """Groups, latest first; the cursor of the next page, or None."""

    groups: list[Group]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class NewNote:
    """Request to set the note of a group."""

    group: str
    note: str
    actor: str
    at: datetime
    #: Tenant that must own it; None: any.
    tenant: str | None = None


def list_groups(
    connection: Connection, wanted: GroupFilter, *, now: datetime, limit: int, cursor: str | None
) -> GroupPage:
    """A page of groups.

    Raises:
        BadCursorError: `cursor` was not issued by this listing.
    """
    query = _query(wanted).order_by(GROUPS.c.last_seen.desc(), GROUPS.c.fingerprint).limit(limit + 1)
    if cursor is not None:
        moment, fingerprint = decoded_key(cursor, int, str)
        last_seen = from_microseconds(int(moment))
        query = query.where(
            or_(
                GROUPS.c.last_seen < last_seen,
                (GROUPS.c.last_seen == last_seen) & (GROUPS.c.fingerprint > fingerprint),
            )
        )
    rows = connection.execute(query).all()
    more = len(rows) > limit
    page = rows[:limit]
    next_cursor = encoded_key(microseconds(page[-1].last_seen), page[-1].fingerprint) if more else None
    return GroupPage(_groups(connection, page, now), next_cursor)


def get_group(
    connection: Connection, group: str, *, now: datetime, tenant: str | None = None
) -> Group | None:
    """One group, or None; with a tenant, only if that tenant owns it."""
    rows = connection.execute(_query(GroupFilter(tenant=tenant)).where(GROUPS.c.fingerprint == group)).all()
    return next(iter(_groups(connection, rows, now)), None)


def note(connection: Connection, notes: Sequence[NewNote]) -> Sequence[bool]:
    """Sets notes of groups; a batch write for `Records.write`. False: no such group."""
    found = []
    for each in notes:
        changed = connection.execute(
            update(GROUPS)
            .where(GROUPS.c.fingerprint == each.group, *owned_by(each.tenant, GROUPS.c.tenant))
            .values(note=each.note)
        )
        found.append(changed.rowcount > 0)
    record(
        connection,
        [
            AuditEntry(
                each.at, each.actor, "note", group=each.group, details={"note": each.note}, tenant=each.tenant
            )
            for each, is_there in zip(notes, found, strict=True)
            if is_there
        ],
    )
    return found


def _query(wanted: GroupFilter) -> Select[Any]:
    state = _state()
    query = select(GROUPS, state.label("state"))
    query = query.where(*owned_by(wanted.tenant, GROUPS.c.tenant))
    if wanted.id is not None:
        query = query.where(begins_with(GROUPS.c.fingerprint, wanted.id, GROUP_DIGITS))
    if wanted.state is not None:
        query = query.where(state == wanted.state.value)
    if wanted.service is not None:
        query = query.where(GROUPS.c.service == wanted.service)
    if wanted.kind is not None:
        query = query.where(GROUPS.c.kind == wanted.kind)
    if wanted.q is not None:
        query = query.where(
            false()  # PostgreSQL holds no NUL in a text
            if "\0" in wanted.q
            else or_(
                GROUPS.c.message.icontains(wanted.q, autoescape=True),
                GROUPS.c.error_type.icontains(wanted.q, autoescape=True),
            )
        )
    return query


def _has(state: LetterState) -> Any:
    """Whether a group has a letter in this state: one look into an index, however many it has."""
    of_group = (DEAD_LETTERS.c.fingerprint == GROUPS.c.fingerprint) & (DEAD_LETTERS.c.state == state)
    return select(DEAD_LETTERS.c.id).where(of_group).correlate(GROUPS).exists()


def _state() -> Any:
    return case(
        (GROUPS.c.archived_at.is_not(None), GroupState.ARCHIVED.value),
        (_has(LetterState.REDRIVING), GroupState.REDRIVING.value),
        (~_has(LetterState.DEAD), GroupState.RESOLVED.value),
        (GROUPS.c.regressed_at.is_not(None), GroupState.REGRESSED.value),
        else_=GroupState.OPEN.value,
    )


def _groups(connection: Connection, rows: Sequence[Any], now: datetime) -> list[Group]:
    wanted = [row.fingerprint for row in rows]
    letters = _letters(connection, wanted)
    trends = _trends(connection, wanted, now)
    return [
        Group(
            id=row.fingerprint,
            state=GroupState(row.state),
            service=row.service,
            kind=row.kind,
            error_type=row.error_type,
            message=row.message,
            frame=row.frame,
            letters=letters.get(row.fingerprint, {}),
            total=row.total,
            first_seen=row.first_seen,
            last_seen=row.last_seen,
            trend=trends.get(row.fingerprint, [0] * TREND_HOURS),
            sample=row.sample,
            note=row.note,
        )
        for row in rows
    ]


def _letters(connection: Connection, wanted: Sequence[str]) -> dict[str, dict[LetterState, int]]:
    query = (
        select(DEAD_LETTERS.c.fingerprint, DEAD_LETTERS.c.state, func.count().label("n"))
        .where(DEAD_LETTERS.c.fingerprint.in_(wanted))
        .group_by(DEAD_LETTERS.c.fingerprint, DEAD_LETTERS.c.state)
    )
    found: dict[str, dict[LetterState, int]] = {}
    for row in connection.execute(query):
        found.setdefault(row.fingerprint, {})[LetterState(row.state)] = row.n
    return found


def _trends(connection: Connection, wanted: Sequence[str], now: datetime) -> dict[str, list[int]]:
    # Full hours of the clock, so that the number of an hour does not change later.
    current = microseconds(now) // _HOUR_US
    since = from_microseconds((current - TREND_HOURS + 1) * _HOUR_US)
    hour = (type_coerce(DEAD_LETTERS.c.died_at, BigInteger) // _HOUR_US).label("hour")
    # Not the bare column: SQLite would read every letter of these groups, instead of those of a day.
    of_group = DEAD_LETTERS.c.fingerprint.concat(literal_column("''", String))
    query = (
        select(of_group.label("fingerprint"), hour, func.count().label("n"))
        .where(DEAD_LETTERS.c.died_at >= since, of_group.in_(wanted))
        .group_by(of_group, hour)
    )
    found: dict[str, list[int]] = {}
    for row in connection.execute(query):
        place = TREND_HOURS - 1 - (current - row.hour)
        if place < TREND_HOURS:  # the clock of a service may be ahead
            found.setdefault(row.fingerprint, [0] * TREND_HOURS)[place] = row.n
    return found
