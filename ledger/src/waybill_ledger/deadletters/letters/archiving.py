"""Discarding, archiving and restoring letters: with a reason, and restorable for a time.

Many letters are put away in steps, so that no other writer waits for long; each step is written into the
audit trail in its own transaction.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select, update

from waybill_contracts.privacy.mask import mask_addresses
from waybill_database import Records
from waybill_ledger.audit.trail import AuditEntry, record
from waybill_ledger.deadletters.letters.queries import LetterFilter, conditions
from waybill_ledger.deadletters.states import LetterState
from waybill_ledger.schema.desk_tables import DEAD_LETTER_GROUPS, DEAD_LETTERS

#: Letters in one transaction.
STEP: Final = 5_000
#: What the audit trail calls it.
_ACTIONS: Final = {
    LetterState.DISCARDED: "discard",
    LetterState.ARCHIVED: "archive",
    LetterState.DEAD: "restore",
}
_PUT_AWAY: Final = (LetterState.DISCARDED, LetterState.ARCHIVED)


@dataclass(frozen=True, slots=True)
class Move:
    """A wish to discard or archive letters that are dead and in no redrive, or to make such dead again."""

    wanted: LetterFilter
    target: LetterState
    actor: str
    at: datetime
    reason: str | None
    #: Until when what is put away can be restored; None for what is restored.
    restorable_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class GroupMove:
    """The same for all letters of a group, and the group itself."""

    group: str
    archived: bool
    at: datetime


async def move(records: Records, wish: Move) -> int:
    """Moves letters; returns how many."""
    moved = 0
    while True:
        step = await records.write(_move, wish)
        moved += step
        if step < STEP:
            return moved


def would_move(connection: Connection, wish: Move) -> int:
    """How many letters it would move."""
    return connection.scalar(select(func.count()).where(*_meant(wish))) or 0


def mark_group(connection: Connection, moves: Sequence[GroupMove]) -> Sequence[None]:
    """Marks groups as archived, or no longer; a batch write for `Records.write`."""
    for each in moves:
        connection.execute(
            update(DEAD_LETTER_GROUPS)
            .where(DEAD_LETTER_GROUPS.c.fingerprint == each.group)
            .values(archived_at=each.at if each.archived else None)
        )
    return [None] * len(moves)


def _move(connection: Connection, wishes: Sequence[Move]) -> Sequence[int]:
    return [_step(connection, wish) for wish in wishes]


def _step(connection: Connection, wish: Move) -> int:
    meant = select(DEAD_LETTERS.c.id).where(*_meant(wish)).order_by(DEAD_LETTERS.c.id)
    ids = connection.scalars(meant.limit(STEP).with_for_update()).all()
    if ids:
        connection.execute(update(DEAD_LETTERS).where(DEAD_LETTERS.c.id.in_(ids)).values(_values(wish)))
        record(connection, [_deed(wish, ids)])
    return len(ids)


def _meant(wish: Move) -> list[ColumnElement[bool]]:
    sources = _PUT_AWAY if wish.target is LetterState.DEAD else (LetterState.DEAD,)
    can_move = (DEAD_LETTERS.c.state.in_(sources), DEAD_LETTERS.c.redrive_id.is_(None))
    return [*conditions(wish.wanted), *can_move]


def _values(wish: Move) -> dict[str, Any]:
    is_back = wish.target is LetterState.DEAD
    return {
        "state": wish.target,
        "version": DEAD_LETTERS.c.version + 1,
        "put_away_at": None if is_back else wish.at,
        "put_away_by": None if is_back else wish.actor,
        "put_away_reason": None if is_back else wish.reason,
        "forget_at": wish.restorable_until,
    }


def _deed(wish: Move, ids: Sequence[int]) -> AuditEntry:
    # Whoever reads the trail is not shown whom somebody looked for.
    asked = {
        name: mask_addresses(str(value)) for name, value in asdict(wish.wanted).items() if value is not None
    }
    return AuditEntry(
        wish.at,
        wish.actor,
        _ACTIONS[wish.target],
        group=wish.wanted.group,
        letters=len(ids),
        reason=wish.reason,
        tenant=wish.wanted.tenant,
        # The span of the letters, where the wish itself does not name them.
        details=asked | {"first": ids[0], "last": ids[-1]},
    )
