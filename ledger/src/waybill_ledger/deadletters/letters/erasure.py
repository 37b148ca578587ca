"""Erasure of letters of erased tasks: their content goes, their rows stay."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, exists, select, update

from waybill_ledger.deadletters import LetterState
from waybill_ledger.deadletters.letters.contract_gate import NOT_KEPT
from waybill_ledger.progress import ERASED
from waybill_ledger.schema import (
    DEAD_LETTER_GROUPS,
    DEAD_LETTER_MESSAGES,
    DEAD_LETTERS,
    REDRIVE_LETTERS,
)

#: Reason of letters that were discarded by an erasure.
WHY: Final = "its person was erased"
#: How long such a letter is kept.
KEPT_FOR: Final = timedelta(days=30)


def lock_letters(connection: Connection, task_ids: Sequence[str]) -> Sequence[Any]:
    """Locks the letters of tasks; rows with `id` and `task_id`."""
    return connection.execute(
        select(DEAD_LETTERS.c.id, DEAD_LETTERS.c.task_id)
        .where(DEAD_LETTERS.c.task_id.in_(task_ids))
        .order_by(DEAD_LETTERS.c.id)
        .with_for_update()
    ).all()


def erase_letters(connection: Connection, ids: Sequence[int], *, actor: str, now: datetime) -> None:
    """Erases letters and the edited payloads of plans; open letters are discarded."""
    if not ids:
        return
    these, faults = DEAD_LETTERS.c.id.in_(ids), NOT_KEPT.errors()
    connection.execute(
        update(DEAD_LETTERS)
        .where(these)
        .values(error_message=ERASED, correlation_id=None, verdict=NOT_KEPT.verdict, errors=faults)
    )
    connection.execute(
        update(DEAD_LETTERS)
        .where(these, DEAD_LETTERS.c.state == LetterState.DEAD)
        .values(**discarded_values(actor, now), version=DEAD_LETTERS.c.version + 1, redrive_id=None)
    )
    connection.execute(
        update(DEAD_LETTER_MESSAGES)
        .where(DEAD_LETTER_MESSAGES.c.letter_id.in_(ids))
        .values(body=None, headers={}, properties={}, traceback=None)
    )
    _erase_groups(connection, ids)
    connection.execute(
        update(REDRIVE_LETTERS)
        .where(REDRIVE_LETTERS.c.letter_id.in_(ids))
        .values(edited=None, verdict=NOT_KEPT.verdict, errors=faults)
    )


def _erase_groups(connection: Connection, ids: Sequence[int]) -> None:
    """Erases the messages of groups without a letter that still has the message."""
    own = select(DEAD_LETTERS.c.fingerprint).where(DEAD_LETTERS.c.id.in_(ids))
    of_others = exists().where(
        DEAD_LETTERS.c.fingerprint == DEAD_LETTER_GROUPS.c.fingerprint,
        DEAD_LETTERS.c.error_message != ERASED,
    )
    connection.execute(
        update(DEAD_LETTER_GROUPS)
        .where(DEAD_LETTER_GROUPS.c.fingerprint.in_(own), ~of_others)
        .values(message=ERASED)
    )


def discarded_values(actor: str, now: datetime) -> dict[str, Any]:
    """Column values of a discarded letter."""
    return {
        "state": LetterState.DISCARDED,
        "put_away_at": now,
        "put_away_by": actor,
        "put_away_reason": WHY,
        "forget_at": now + KEPT_FOR,
    }
