"""Checks letters again, so that their verdicts are those of the current contracts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, update

from waybill_database import Records
from waybill_ledger.deadletters import LetterState
from waybill_ledger.deadletters.letters.contract_gate import ContractGate, Message
from waybill_ledger.schema import DEAD_LETTER_MESSAGES, DEAD_LETTERS


@dataclass(frozen=True, slots=True)
class _Recheck:
    """Request to check again the stale letters of a range."""

    first: int
    last: int
    gate: ContractGate


async def recheck_all(records: Records, gate: ContractGate, *, step: int) -> int:
    """Checks all open letters again that were checked with other contracts or other keys.

    Each is checked once: during a rotation of keys another process may check with other keys, and each would
    undo the verdicts of the other.

    Args:
        records: of the ledger.
        gate: the contracts and keys of now.
        step: most letters in one transaction.

    Returns:
        Number of checked letters.
    """
    checked, after = 0, 0
    while (span := await records.read(partial(_next, gate=gate, after=after, most=step))) is not None:
        first, after = span
        checked += await records.write(_recheck, _Recheck(first, after, gate))
    return checked


def _next(connection: Connection, gate: ContractGate, after: int, most: int) -> tuple[int, int] | None:
    """First and last id of the next stale letters."""
    stale = select(DEAD_LETTERS.c.id).where(_is_stale(gate), DEAD_LETTERS.c.id > after)
    found = stale.order_by(DEAD_LETTERS.c.id).limit(most).subquery()
    first, last = connection.execute(select(func.min(found.c.id), func.max(found.c.id))).one()
    return None if first is None else (first, last)


def _recheck(connection: Connection, requests: Sequence[_Recheck]) -> Sequence[int]:
    return [_recheck_some(connection, request) for request in requests]


def _recheck_some(connection: Connection, request: _Recheck) -> int:
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
        .where(_is_stale(request.gate), DEAD_LETTERS.c.id.between(request.first, request.last))
        .order_by(DEAD_LETTERS.c.id)
        # Waits for locked rows: a skipped letter would not be checked again.
        .with_for_update(of=DEAD_LETTERS)
    ).all()
    if rows:
        connection.execute(_VERDICT, [_verdict(row, request.gate) for row in rows])
    return len(rows)


def _is_stale(gate: ContractGate) -> ColumnElement[bool]:
    return (DEAD_LETTERS.c.state == LetterState.DEAD) & (DEAD_LETTERS.c.checked_against != gate.version)


def _verdict(row: Any, gate: ContractGate) -> dict[str, Any]:
    checked = gate.check(Message.of(row))
    return {
        "b_id": row.id,
        "b_verdict": checked.verdict,
        "b_errors": checked.errors(),
        "b_against": gate.version,
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
