"""Discards, archives and restores letters: with a reason, and restorable for a time.

Many letters are moved in steps, so that other writers do not wait long; the transaction of each step adds an
audit entry.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select, update

from waybill_contracts.privacy import mask_addresses
from waybill_database import Records
from waybill_ledger.audit import AuditEntry, record
from waybill_ledger.deadletters import LetterState
from waybill_ledger.deadletters.letters.queries import LetterFilter, conditions
from waybill_ledger.schema import DEAD_LETTER_GROUPS, DEAD_LETTERS

#: Most letters in one transaction.
STEP: Final = 5_000
#: Action in the audit trail.
_ACTIONS: Final = {
    LetterState.DISCARDED: "discard",
    LetterState.ARCHIVED: "archive",
    LetterState.DEAD: "restore",
}
_CLOSED: Final = (LetterState.DISCARDED, LetterState.ARCHIVED)


@dataclass(frozen=True, slots=True)
class Move:
    """Request to discard or archive dead letters that are in no redrive, or to restore them."""

    wanted: LetterFilter
    target: LetterState
    actor: str
    at: datetime
    reason: str | None
    #: When discarded or archived letters are pruned; None: letters are restored.
    restorable_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class GroupMove:
    """Request to mark a group as archived, or as open."""

    group: str
    archived: bool
    at: datetime


async def move(records: Records, request: Move) -> int:
    """Moves letters; returns their number."""
    moved = 0
    while True:
        step = await records.write(_move, request)
        moved += step
        if step < STEP:
            return moved


def would_move(connection: Connection, request: Move) -> int:
    """Number of letters that `move` would move."""
    return connection.scalar(select(func.count()).where(*_meant(request))) or 0


def mark_group(connection: Connection, moves: Sequence[GroupMove]) -> Sequence[None]:
    """Marks groups as archived or open; a batch write for `Records.write`."""
    for each in moves:
        connection.execute(
            update(DEAD_LETTER_GROUPS)
            .where(DEAD_LETTER_GROUPS.c.fingerprint == each.group)
            .values(archived_at=each.at if each.archived else None)
        )
    return [None] * len(moves)


def _move(connection: Connection, requests: Sequence[Move]) -> Sequence[int]:
    return [_step(connection, request) for request in requests]


def _step(connection: Connection, request: Move) -> int:
    meant = select(DEAD_LETTERS.c.id).where(*_meant(request)).order_by(DEAD_LETTERS.c.id)
    ids = connection.scalars(meant.limit(STEP).with_for_update()).all()
    if ids:
        connection.execute(update(DEAD_LETTERS).where(DEAD_LETTERS.c.id.in_(ids)).values(_values(request)))
        record(connection, [_audit_entry(request, ids)])
    return len(ids)


def _meant(request: Move) -> list[ColumnElement[bool]]:
    sources = _CLOSED if request.target is LetterState.DEAD else (LetterState.DEAD,)
    can_move = (DEAD_LETTERS.c.state.in_(sources), DEAD_LETTERS.c.redrive_id.is_(None))
    return [*conditions(request.wanted), *can_move]


def _values(request: Move) -> dict[str, Any]:
    is_back = request.target is LetterState.DEAD
    return {
        "state": request.target,
        "version": DEAD_LETTERS.c.version + 1,
        "put_away_at": None if is_back else request.at,
        "put_away_by": None if is_back else request.actor,
        "put_away_reason": None if is_back else request.reason,
        "forget_at": request.restorable_until,
    }


def _audit_entry(request: Move, ids: Sequence[int]) -> AuditEntry:
    # Readers of the trail must not see the addresses of a search.
    asked = {
        name: mask_addresses(str(value))
        for name, value in asdict(request.wanted).items()
        if value is not None
    }
    return AuditEntry(
        request.at,
        request.actor,
        _ACTIONS[request.target],
        group=request.wanted.group,
        letters=len(ids),
        reason=request.reason,
        tenant=request.wanted.tenant,
        # The range of ids, because the request may not name letters.
        details=asked | {"first": ids[0], "last": ids[-1]},
    )
