"""Settlement: writes outcomes of redriven letters to letter and redrive; a relapse halts the redrive."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, bindparam, or_, select, update

from waybill_contracts.states import State
from waybill_ledger.audit import AuditEntry, record
from waybill_ledger.deadletters import DESK_ITSELF, ItemState, LetterState, Phase, RedriveState
from waybill_ledger.deadletters.redrives.progress import progress_of
from waybill_ledger.schema import DEAD_LETTERS, REDRIVE_LETTERS, REDRIVES, SUBTASKS

#: Most outcomes in one transaction.
MOST_AT_ONCE: Final = 500
#: How long a failure waits for its letter before it counts without one.
LETTER_GRACE: Final = timedelta(seconds=30)

_OUTCOMES: Final = {
    State.COMPLETED: (ItemState.SUCCEEDED, LetterState.RECOVERED),
    State.FAILED: (ItemState.FAILED, LetterState.RETURNED),
    State.CANCELLED: (ItemState.CANCELLED, LetterState.CANCELLED),
}


@dataclass(frozen=True, slots=True)
class Settlement:
    """Request to settle the outcomes of one redrive."""

    redrive_id: int
    now: datetime
    #: How long settled letters are kept.
    keep_for: timedelta


@dataclass(frozen=True, slots=True)
class Settled:
    """Result of a settlement."""

    outcomes: int
    #: Why the redrive has halted now; None: it has not.
    halted_because: str | None


def redrives_under_way(connection: Connection) -> Sequence[int]:
    """Started redrives with letters that wait or are under way."""
    return connection.scalars(
        select(REDRIVES.c.id)
        .where(REDRIVES.c.ended_at.is_(None), REDRIVES.c.started_at.is_not(None))
        .order_by(REDRIVES.c.id)
    ).all()


def may_settle(connection: Connection, settlement: Settlement) -> bool:
    """Whether `settle` would change anything; takes no lock."""
    return connection.execute(_outcomes(settlement).limit(1)).first() is not None


def settle(connection: Connection, settlements: Sequence[Settlement]) -> Sequence[Settled]:
    """Settles outcomes; a batch write for `Records.write`. Several desks may call it at once."""
    return [_settle(connection, each) for each in settlements]


def _settle(connection: Connection, settlement: Settlement) -> Settled:
    redrive = connection.execute(
        select(REDRIVES).where(REDRIVES.c.id == settlement.redrive_id).with_for_update(skip_locked=True)
    ).one_or_none()
    if redrive is None:
        return Settled(0, None)
    query = _outcomes(settlement).order_by(REDRIVE_LETTERS.c.letter_id).limit(MOST_AT_ONCE)
    rows = connection.execute(query).all()
    if rows:
        connection.execute(_ITEM_ENDS, [_item_end(row, settlement) for row in rows])
        connection.execute(_LETTER_ENDS, [_letter_end(row, settlement) for row in rows])
    why = _why_halt(redrive, rows)
    if why is not None:
        connection.execute(
            update(REDRIVES)
            .where(REDRIVES.c.id == redrive.id)
            .values(state=RedriveState.HALTED, halted_because=why)
        )
        record(
            connection,
            [AuditEntry(settlement.now, DESK_ITSELF, "halt", redrive.id, reason=why, tenant=redrive.tenant)],
        )
    if redrive.state == RedriveState.CANCELLED and progress_of(connection, redrive.id).is_over:
        connection.execute(
            update(REDRIVES).where(REDRIVES.c.id == redrive.id).values(ended_at=settlement.now)
        )
    return Settled(len(rows), why)


_NEXT = DEAD_LETTERS.alias("next_letters")


def _outcomes(settlement: Settlement) -> Select[Any]:
    """Selects sent letters with an outcome; a failure counts once its own letter has come in."""
    items = REDRIVE_LETTERS.c
    return (
        select(
            items.letter_id,
            SUBTASKS.c.state,
            SUBTASKS.c.error,
            _NEXT.c.id.label("next_id"),
            _NEXT.c.fingerprint.label("next_fingerprint"),
        )
        .select_from(
            REDRIVE_LETTERS.outerjoin(
                SUBTASKS, and_(SUBTASKS.c.task_id == items.task_id, SUBTASKS.c.service == items.service)
            ).outerjoin(
                _NEXT,
                and_(
                    _NEXT.c.task_id == items.task_id,
                    _NEXT.c.service == items.service,
                    _NEXT.c.redrive_no == items.redrive_no,
                ),
            )
        )
        .where(
            items.redrive_id == settlement.redrive_id,
            items.state == ItemState.SENT,
            or_(
                SUBTASKS.c.state.in_((State.COMPLETED, State.CANCELLED)),
                and_(
                    SUBTASKS.c.state == State.FAILED,
                    or_(
                        _NEXT.c.id.is_not(None),
                        SUBTASKS.c.updated_at <= settlement.now - LETTER_GRACE,
                    ),
                ),
                # Its task is no longer in the ledger: the outcome will never be known.
                SUBTASKS.c.state.is_(None),
            ),
        )
    )


def _outcome(row: Any) -> tuple[ItemState, LetterState]:
    return _OUTCOMES[State(row.state) if row.state is not None else State.FAILED]


def _item_end(row: Any, settlement: Settlement) -> dict[str, Any]:
    return {
        "b_redrive_id": settlement.redrive_id,
        "b_letter_id": row.letter_id,
        "b_state": _outcome(row)[0],
        "b_ended_at": settlement.now,
        "b_returned_as": row.next_id,
    }


def _letter_end(row: Any, settlement: Settlement) -> dict[str, Any]:
    return {
        "b_id": row.letter_id,
        "b_state": _outcome(row)[1],
        "b_forget_at": settlement.now + settlement.keep_for,
    }


def _why_halt(redrive: Any, rows: Sequence[Any]) -> str | None:
    """Why the redrive must halt; None: it continues."""
    if redrive.state != RedriveState.RUNNING:
        return None
    outcomes = Counter(_outcome(row)[0] for row in rows)
    failed = [row for row in rows if _outcome(row)[0] is ItemState.FAILED]
    relapsed = [r for r in failed if r.next_id is None or r.next_fingerprint in redrive.fingerprints]
    if redrive.phase == Phase.CANARY and outcomes.total() > outcomes[ItemState.SUCCEEDED]:
        bad = outcomes.total() - outcomes[ItemState.SUCCEEDED]
        what = f"{bad} of its canaries did not complete"
    elif relapsed:
        what = f"{len(relapsed)} came back with an error that it should have cured"
    else:
        return None
    error = (relapsed or failed or [None])[0]
    if error is None or error.error is None:
        return f"{what}."
    return f"{what}: {error.error.get('type')}: {error.error.get('message')}"


_ITEM_ENDS = (
    update(REDRIVE_LETTERS)
    .where(
        REDRIVE_LETTERS.c.redrive_id == bindparam("b_redrive_id"),
        REDRIVE_LETTERS.c.letter_id == bindparam("b_letter_id"),
    )
    .values(
        state=bindparam("b_state"),
        ended_at=bindparam("b_ended_at"),
        returned_as=bindparam("b_returned_as"),
    )
)
_LETTER_ENDS = (
    update(DEAD_LETTERS)
    .where(DEAD_LETTERS.c.id == bindparam("b_id"))
    .values(
        state=bindparam("b_state"),
        version=DEAD_LETTERS.c.version + 1,
        redrive_id=None,
        forget_at=bindparam("b_forget_at"),
    )
)
