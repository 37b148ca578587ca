"""Sends the letters of a running redrive: a batch in one transaction, each letter once.

The transaction moves the letter from `dead` to `redriving`, its subtask to the next `redrive_no`, and adds
the message to the outbox. If a process dies later, another one publishes that row; if it dies earlier, the
letter is unchanged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from waybill_ledger.deadletters import Effect, ItemState, LetterState, Phase, RedriveState, Verdict
from waybill_ledger.deadletters.letters import EFFECT, LETTERS_AND_TASKS, ContractGate, Message
from waybill_ledger.deadletters.redrives.progress import Progress, batch_size, canary_is_over, progress_of
from waybill_ledger.deadletters.redrives.reopen import Reopening, reopen
from waybill_ledger.outbox import PendingMessage
from waybill_ledger.schema import DEAD_LETTER_MESSAGES, DEAD_LETTERS, REDRIVE_LETTERS, REDRIVES, TASKS


@dataclass(frozen=True, slots=True)
class Turn:
    """Turn of a redrive to send letters."""

    redrive_id: int
    now: datetime
    #: For a last check of each letter.
    gate: ContractGate


@dataclass(frozen=True, slots=True)
class Sent:
    """Result of one turn."""

    #: Messages to publish now; they are in the outbox, so the relay publishes them otherwise.
    messages: list[PendingMessage]
    #: When the next turn may begin; None: it waits for outcomes, or is not running.
    next_at: datetime | None


NOTHING = Sent([], None)


def may_send(connection: Connection, turn: Turn) -> bool:
    """Whether `send` would change anything; takes no lock."""
    row = connection.execute(select(REDRIVES).where(REDRIVES.c.id == turn.redrive_id)).one_or_none()
    if row is None or row.state != RedriveState.RUNNING or row.next_send_at > turn.now:
        return False
    progress = progress_of(connection, turn.redrive_id)
    return progress.is_over or _is_canary_done(row, progress) or _size(row, progress) > 0


def send(connection: Connection, turns: Sequence[Turn]) -> Sequence[Sent]:
    """Sends letters; a batch write for `Records.write`. Several desks may call it at once."""
    return [_send(connection, turn) for turn in turns]


def _send(connection: Connection, turn: Turn) -> Sent:
    row = connection.execute(
        select(REDRIVES)
        .where(REDRIVES.c.id == turn.redrive_id, REDRIVES.c.state == RedriveState.RUNNING)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None or row.next_send_at > turn.now:
        return NOTHING
    progress = progress_of(connection, turn.redrive_id)
    if progress.is_over:
        _change(connection, turn.redrive_id, state=RedriveState.COMPLETED, ended_at=turn.now)
        return NOTHING
    if _is_canary_done(row, progress):
        _change(connection, turn.redrive_id, phase=Phase.FULL)
        return Sent([], turn.now)
    size = _size(row, progress)
    if not size:
        return NOTHING
    messages = _send_batch(connection, turn, size)
    next_at = max(row.next_send_at, turn.now - timedelta(seconds=size / row.rate))
    next_at += timedelta(seconds=len(messages) / row.rate)
    _change(connection, turn.redrive_id, next_send_at=next_at)
    return Sent(messages, next_at)


def _is_canary_done(row: Any, progress: Progress) -> bool:
    in_canary = row.phase == Phase.CANARY
    return in_canary and canary_is_over(progress, canary=row.canary, canary_from=row.canary_from)


def _size(row: Any, progress: Progress) -> int:
    return batch_size(
        progress, Phase(row.phase), canary=row.canary, canary_from=row.canary_from, rate=row.rate
    )


def _change(connection: Connection, redrive_id: int, **values: Any) -> None:
    connection.execute(update(REDRIVES).where(REDRIVES.c.id == redrive_id).values(values))


def _send_batch(connection: Connection, turn: Turn, size: int) -> list[PendingMessage]:
    ids = connection.scalars(
        select(REDRIVE_LETTERS.c.letter_id)
        .where(REDRIVE_LETTERS.c.redrive_id == turn.redrive_id, REDRIVE_LETTERS.c.state == ItemState.WAITING)
        .order_by(REDRIVE_LETTERS.c.letter_id)
        .limit(size)
    ).all()
    letters = _locked_letters(connection, turn.redrive_id, ids)
    skipped = {letter.id: why for letter in letters if (why := _why_not(letter, turn.gate)) is not None}
    going = [letter for letter in letters if letter.id not in skipped]
    # Letters that were pruned meanwhile have no row.
    skipped |= {letter_id: "gone" for letter_id in ids if letter_id not in {x.id for x in letters}}
    if skipped:
        _skip(connection, turn, skipped)
    if not going:
        return []
    connection.execute(_LETTER_GOES, [{"b_id": letter.id} for letter in going])
    connection.execute(
        _ITEM_GOES,
        [
            {
                "b_redrive_id": turn.redrive_id,
                "b_letter_id": letter.id,
                "b_redrive_no": letter.redrive_no + 1,
                "b_sent_at": turn.now,
            }
            for letter in going
        ],
    )
    return reopen(connection, [_reopening(letter, turn) for letter in going])


def _locked_letters(connection: Connection, redrive_id: int, ids: Sequence[int]) -> Sequence[Any]:
    # First the letters, then their tasks: the lock order of all writers.
    connection.execute(
        select(DEAD_LETTERS.c.id)
        .where(DEAD_LETTERS.c.id.in_(ids))
        .order_by(DEAD_LETTERS.c.id)
        .with_for_update()
    )
    tasks = select(DEAD_LETTERS.c.task_id).where(DEAD_LETTERS.c.id.in_(ids))
    connection.execute(select(TASKS.c.id).where(TASKS.c.id.in_(tasks)).order_by(TASKS.c.id).with_for_update())
    query = (
        select(
            DEAD_LETTERS,
            EFFECT.label("effect"),
            DEAD_LETTER_MESSAGES.c.body,
            REDRIVE_LETTERS.c.letter_version,
            REDRIVE_LETTERS.c.edited,
            REDRIVE_LETTERS.c.edited_dataschema,
            REDRIVE_LETTERS.c.verdict.label("planned_verdict"),
        )
        .select_from(
            LETTERS_AND_TASKS.join(
                DEAD_LETTER_MESSAGES, DEAD_LETTER_MESSAGES.c.letter_id == DEAD_LETTERS.c.id
            ).join(REDRIVE_LETTERS, REDRIVE_LETTERS.c.letter_id == DEAD_LETTERS.c.id)
        )
        .where(REDRIVE_LETTERS.c.redrive_id == redrive_id, DEAD_LETTERS.c.id.in_(ids))
        .order_by(DEAD_LETTERS.c.id)
    )
    return connection.execute(query).all()


def _why_not(letter: Any, gate: ContractGate) -> str | None:
    """Why a letter is skipped; None: it is sent."""
    if letter.effect == Effect.ERASED:
        return Effect.ERASED.value
    if letter.version != letter.letter_version or letter.state != LetterState.DEAD:
        return "changed"
    if Effect(letter.effect).is_skipped:
        return str(letter.effect)
    if letter.planned_verdict == Verdict.UNFIXABLE:
        return Verdict.UNFIXABLE.value
    # The contracts may have changed since the plan was made.
    if letter.edited is None and gate.check(Message.of(letter)).verdict is Verdict.UNFIXABLE:
        return Verdict.UNFIXABLE.value
    return None


def _skip(connection: Connection, turn: Turn, skipped: dict[int, str]) -> None:
    connection.execute(
        _ITEM_SKIPPED,
        [
            {
                "b_redrive_id": turn.redrive_id,
                "b_letter_id": letter_id,
                "b_why": why,
                "b_ended_at": turn.now,
            }
            for letter_id, why in skipped.items()
        ],
    )
    connection.execute(
        update(DEAD_LETTERS)
        .where(DEAD_LETTERS.c.id.in_(skipped), DEAD_LETTERS.c.redrive_id == turn.redrive_id)
        .values(redrive_id=None)
    )


def _reopening(letter: Any, turn: Turn) -> Reopening:
    is_edited = letter.edited is not None
    return Reopening(
        task_id=letter.task_id,
        service=letter.service,
        redrive_no=letter.redrive_no + 1,
        # Each edit makes another effect.
        edit_no=letter.edit_no + 1 if is_edited else letter.edit_no,
        payload=letter.edited if is_edited else letter.body,
        dataschema=(letter.edited_dataschema or letter.dataschema) if is_edited else letter.dataschema,
        redrive_id=turn.redrive_id,
        letter_id=letter.id,
        at=turn.now,
    )


_LETTER_GOES = (
    update(DEAD_LETTERS)
    .where(DEAD_LETTERS.c.id == bindparam("b_id"))
    .values(state=LetterState.REDRIVING, version=DEAD_LETTERS.c.version + 1)
)
_THIS_ITEM = (REDRIVE_LETTERS.c.redrive_id == bindparam("b_redrive_id")) & (
    REDRIVE_LETTERS.c.letter_id == bindparam("b_letter_id")
)
_ITEM_GOES = (
    update(REDRIVE_LETTERS)
    .where(_THIS_ITEM)
    .values(state=ItemState.SENT, redrive_no=bindparam("b_redrive_no"), sent_at=bindparam("b_sent_at"))
)
_ITEM_SKIPPED = (
    update(REDRIVE_LETTERS)
    .where(_THIS_ITEM)
    .values(state=ItemState.SKIPPED, skipped_because=bindparam("b_why"), ended_at=bindparam("b_ended_at"))
)
