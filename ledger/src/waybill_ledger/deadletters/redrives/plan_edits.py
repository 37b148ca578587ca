"""Edits of a plan: each payload is patched and checked when the plan is made, and stored in it."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from waybill_database import Records
from waybill_ledger.deadletters import LetterState
from waybill_ledger.deadletters.letters import ContractGate, Message
from waybill_ledger.deadletters.redrives.edits import Edit, edited
from waybill_ledger.schema import DEAD_LETTER_MESSAGES, DEAD_LETTERS, REDRIVE_LETTERS

#: Most payloads in memory.
_CHUNK: Final = 500


async def apply_edits(records: Records, redrive_id: int, edits: Sequence[Edit], gate: ContractGate) -> None:
    """Writes edited payloads into a plan; of several edits for one letter the first counts."""
    after: int | None = 0 if edits else None
    while after is not None:
        rows, after = await records.read(
            partial(_edited_rows, redrive_id=redrive_id, edits=edits, gate=gate, after=after)
        )
        if rows:
            await records.write(_keep, rows)


def _edited_rows(
    connection: Connection, redrive_id: int, edits: Sequence[Edit], gate: ContractGate, after: int
) -> tuple[list[dict[str, Any]], int | None]:
    """Rows to store for the next letters, and where to continue."""
    query = (
        select(
            DEAD_LETTERS.c.id,
            DEAD_LETTERS.c.task_id,
            DEAD_LETTERS.c.service,
            DEAD_LETTERS.c.kind,
            DEAD_LETTERS.c.dataschema,
            DEAD_LETTER_MESSAGES.c.body,
        )
        .join(REDRIVE_LETTERS, REDRIVE_LETTERS.c.letter_id == DEAD_LETTERS.c.id)
        .join(DEAD_LETTER_MESSAGES, DEAD_LETTER_MESSAGES.c.letter_id == DEAD_LETTERS.c.id)
        .where(REDRIVE_LETTERS.c.redrive_id == redrive_id, DEAD_LETTERS.c.id > after)
        .order_by(DEAD_LETTERS.c.id)
        .limit(_CHUNK)
    )
    letters = connection.execute(query).all()
    rows = []
    for letter in letters:
        edit = next((each for each in edits if each.fits(letter.id)), None)
        if edit is None:
            continue
        made = edited(Message.of(letter), edit.patch, gate)
        rows.append(
            {
                "b_redrive_id": redrive_id,
                "b_letter_id": letter.id,
                "b_verdict": made.checked.verdict,
                "b_errors": made.checked.errors(),
                "b_edited": made.body(gate.keyring, letter.task_id),
                "b_dataschema": made.dataschema,
            }
        )
    return rows, letters[-1].id if len(letters) == _CHUNK else None


def _keep(connection: Connection, batches: Sequence[Sequence[dict[str, Any]]]) -> Sequence[None]:
    rows = [row for batch in batches for row in batch]
    # A letter that was erased since its payload was read is no longer dead, and nothing of it may be stored.
    dead = connection.scalars(
        select(DEAD_LETTERS.c.id)
        .where(
            DEAD_LETTERS.c.id.in_({row["b_letter_id"] for row in rows}),
            DEAD_LETTERS.c.state == LetterState.DEAD,
        )
        .order_by(DEAD_LETTERS.c.id)
        .with_for_update(read=True)
    ).all()
    if kept := [row for row in rows if row["b_letter_id"] in set(dead)]:
        connection.execute(_EDIT, kept)
    return [None] * len(batches)


_EDIT = (
    update(REDRIVE_LETTERS)
    .where(
        REDRIVE_LETTERS.c.redrive_id == bindparam("b_redrive_id"),
        REDRIVE_LETTERS.c.letter_id == bindparam("b_letter_id"),
    )
    .values(
        verdict=bindparam("b_verdict"),
        errors=bindparam("b_errors"),
        edited=bindparam("b_edited"),
        edited_dataschema=bindparam("b_dataschema"),
    )
)
