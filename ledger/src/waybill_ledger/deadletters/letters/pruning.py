"""Pruning of letters and redrives after their retention time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, exists, or_, select

from waybill_ledger.deadletters import LetterState, RedriveState
from waybill_ledger.schema import DEAD_LETTER_GROUPS, DEAD_LETTERS, REDRIVES, TASKS

#: A plan that is not finished after this time is abandoned.
MAKING_FOR: Final = timedelta(hours=1)
#: States of letters that need their task: open ones, and those that can still be restored.
_WANTED: Final = (LetterState.DEAD, LetterState.REDRIVING, LetterState.DISCARDED, LetterState.ARCHIVED)


@dataclass(frozen=True, slots=True)
class Pruning:
    """Request for a small step of pruning."""

    now: datetime
    most: int
    #: How long ended redrives and plans that were not started are kept.
    redrives_for: timedelta


def delete_settled(connection: Connection, task_ids: Sequence[str]) -> None:
    """Deletes the settled letters of tasks that are about to be pruned.

    An open letter that came in after the tasks were chosen (see `has_wanted_letter`) stays.
    """
    settled = select(DEAD_LETTERS.c.id).where(
        DEAD_LETTERS.c.task_id.in_(task_ids), DEAD_LETTERS.c.state.not_in(_WANTED)
    )
    _delete_letters(connection, connection.scalars(settled).all())


def has_wanted_letter() -> ColumnElement[bool]:
    """Condition: the task has a letter that is open, redriving, or can be restored."""
    return (
        exists()
        .where(DEAD_LETTERS.c.task_id == TASKS.c.id, DEAD_LETTERS.c.state.in_(_WANTED))
        .correlate(TASKS)
    )


def prune(connection: Connection, prunings: Sequence[Pruning]) -> Sequence[int]:
    """Deletes letters and redrives after their retention time; a batch write for `Records.write`.

    Returns:
        Number of deleted letters and redrives; 0: nothing more is due.
    """
    return [_prune(connection, each) for each in prunings]


def _prune(connection: Connection, pruning: Pruning) -> int:
    letters = connection.scalars(
        select(DEAD_LETTERS.c.id)
        .where(DEAD_LETTERS.c.forget_at <= pruning.now)
        .order_by(DEAD_LETTERS.c.id)
        .limit(pruning.most)
        .with_for_update(skip_locked=True)
    ).all()
    _delete_letters(connection, letters)
    old = pruning.now - pruning.redrives_for
    redrives = connection.scalars(
        select(REDRIVES.c.id)
        .where(
            or_(
                REDRIVES.c.ended_at <= old,
                (REDRIVES.c.state == RedriveState.PLANNED) & (REDRIVES.c.created_at <= old),
                (REDRIVES.c.state == RedriveState.MAKING)
                & (REDRIVES.c.created_at <= pruning.now - MAKING_FOR),
            )
        )
        .limit(1)  # each may have very many letters
    ).all()
    if redrives:
        connection.execute(delete(REDRIVES).where(REDRIVES.c.id.in_(redrives)))
    return len(letters) + len(redrives)


def _delete_letters(connection: Connection, letters: Sequence[int]) -> None:
    if not letters:
        return
    connection.execute(delete(DEAD_LETTERS).where(DEAD_LETTERS.c.id.in_(letters)))
    # A group is kept as long as its latest letter.
    connection.execute(
        delete(DEAD_LETTER_GROUPS).where(DEAD_LETTER_GROUPS.c.sample.in_(letters), ~_has_letters())
    )


def _has_letters() -> ColumnElement[bool]:
    return exists().where(DEAD_LETTERS.c.fingerprint == DEAD_LETTER_GROUPS.c.fingerprint)
