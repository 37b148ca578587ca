"""Letters of erased tasks: what they held goes, and that they were there stays."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, exists, select, update

from waybill_ledger.deadletters.letters.contract_gate import NOT_KEPT
from waybill_ledger.deadletters.states import LetterState
from waybill_ledger.progress.erased_words import ERASED
from waybill_ledger.schema.desk_tables import (
    DEAD_LETTER_GROUPS,
    DEAD_LETTER_MESSAGES,
    DEAD_LETTERS,
    REDRIVE_LETTERS,
)

#: Why a letter was put away that nobody has put away by hand.
WHY: Final = "its person was erased"
#: For how long it is still shown.
SHOWN_FOR: Final = timedelta(days=30)


def lock_letters(connection: Connection, task_ids: Sequence[str]) -> Sequence[Any]:
    """The letters of tasks, locked: their ids, and whose they are."""
    return connection.execute(
        select(DEAD_LETTERS.c.id, DEAD_LETTERS.c.task_id)
        .where(DEAD_LETTERS.c.task_id.in_(task_ids))
        .order_by(DEAD_LETTERS.c.id)
        .with_for_update()
    ).all()


def erase_letters(connection: Connection, ids: Sequence[int], *, actor: str, now: datetime) -> None:
    """Erases letters, and what plans would have sent instead of them; open ones are put away."""
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
        .values(**put_away(actor, now), version=DEAD_LETTERS.c.version + 1, redrive_id=None)
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
    """A group has its words from one of its letters; where none is left that says them, they go, too."""
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


def put_away(actor: str, now: datetime) -> dict[str, Any]:
    """What makes a letter a discarded one."""
    return {
        "state": LetterState.DISCARDED,
        "put_away_at": now,
        "put_away_by": actor,
        "put_away_reason": WHY,
        "forget_at": now + SHOWN_FOR,
    }
