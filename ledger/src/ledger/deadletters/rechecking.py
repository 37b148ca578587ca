"""Checking letters again: their verdicts are those of the contracts as they are now, not as they were."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, exists, select, update

from contracts.schemas import contracts_version
from ledger.deadletters.gate import check
from ledger.deadletters.schema import DEAD_LETTER_MESSAGES, DEAD_LETTERS
from ledger.deadletters.states import LetterState


def is_any_stale(connection: Connection) -> bool:
    """Whether any letter that waits was checked against other contracts."""
    return bool(connection.scalar(select(exists().where(_is_stale()))))


def recheck(connection: Connection, limits: Sequence[int]) -> Sequence[int]:
    """Checks up to so many letters; a batch write for `Records.write`.

    Returns:
        How many were checked; 0: all are up to date.
    """
    return [_recheck(connection, limit) for limit in limits]


def _recheck(connection: Connection, limit: int) -> int:
    rows = connection.execute(
        select(
            DEAD_LETTERS.c.id,
            DEAD_LETTERS.c.service,
            DEAD_LETTERS.c.kind,
            DEAD_LETTERS.c.dataschema,
            DEAD_LETTER_MESSAGES.c.body,
        )
        .join(DEAD_LETTER_MESSAGES, DEAD_LETTER_MESSAGES.c.letter_id == DEAD_LETTERS.c.id)
        .where(_is_stale())
        .order_by(DEAD_LETTERS.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=DEAD_LETTERS)
    ).all()
    if rows:
        connection.execute(_VERDICT, [_verdict(row) for row in rows])
    return len(rows)


def _is_stale() -> ColumnElement[bool]:
    return (DEAD_LETTERS.c.state == LetterState.DEAD) & (
        DEAD_LETTERS.c.checked_against != contracts_version()
    )


def _verdict(row: Any) -> dict[str, Any]:
    checked = check(row.service, row.kind, row.dataschema, row.body or b"")
    return {
        "b_id": row.id,
        "b_verdict": checked.verdict,
        "b_errors": checked.errors(),
        "b_against": contracts_version(),
    }


_VERDICT = (
    update(DEAD_LETTERS)
    .where(DEAD_LETTERS.c.id == bindparam("b_id"))
    .values(
        verdict=bindparam("b_verdict"),
        errors=bindparam("b_errors"),
        checked_against=bindparam("b_against"),
    )
)
