"""Checking letters again: their verdicts are those of the contracts as they are now, not as they were."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, exists, select, update

from contracts.reading import opener
from contracts.sealing import Keyring
from ledger.deadletters.gate import check, gate_version
from ledger.deadletters.schema import DEAD_LETTER_MESSAGES, DEAD_LETTERS
from ledger.deadletters.states import LetterState


@dataclass(frozen=True, slots=True)
class Recheck:
    """A wish to check letters again."""

    most: int
    keyring: Keyring


def is_any_stale(connection: Connection, keyring: Keyring) -> bool:
    """Whether any letter that waits was checked against other contracts, or with other keys."""
    return bool(connection.scalar(select(exists().where(_is_stale(keyring)))))


def recheck(connection: Connection, wishes: Sequence[Recheck]) -> Sequence[int]:
    """Checks up to so many letters; a batch write for `Records.write`.

    Returns:
        How many were checked; 0: all are up to date.
    """
    return [_recheck(connection, wish) for wish in wishes]


def _recheck(connection: Connection, wish: Recheck) -> int:
    rows = connection.execute(
        select(
            DEAD_LETTERS.c.id,
            DEAD_LETTERS.c.task_id,
            DEAD_LETTERS.c.service,
            DEAD_LETTERS.c.kind,
            DEAD_LETTERS.c.dataschema,
            DEAD_LETTER_MESSAGES.c.body,
        )
        .join(DEAD_LETTER_MESSAGES, DEAD_LETTER_MESSAGES.c.letter_id == DEAD_LETTERS.c.id)
        .where(_is_stale(wish.keyring))
        .order_by(DEAD_LETTERS.c.id)
        .limit(wish.most)
        .with_for_update(skip_locked=True, of=DEAD_LETTERS)
    ).all()
    if rows:
        connection.execute(_VERDICT, [_verdict(row, wish.keyring) for row in rows])
    return len(rows)


def _is_stale(keyring: Keyring) -> ColumnElement[bool]:
    return (DEAD_LETTERS.c.state == LetterState.DEAD) & (
        DEAD_LETTERS.c.checked_against != gate_version(keyring)
    )


def _verdict(row: Any, keyring: Keyring) -> dict[str, Any]:
    opened = opener(keyring, row.task_id or "")
    checked = check(row.service, row.kind, row.dataschema, row.body or b"", opened=opened)
    return {
        "b_id": row.id,
        "b_verdict": checked.verdict,
        "b_errors": checked.errors(),
        "b_against": gate_version(keyring),
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
