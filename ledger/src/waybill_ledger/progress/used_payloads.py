"""Deleting payloads that must not outlive their use: those of completed kinds that hold secrets."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select, update

from waybill_ledger.schema import DEAD_LETTER_MESSAGES, DEAD_LETTERS, OUTBOX, REDRIVEN_PAYLOADS, TASKS


def delete_payloads(connection: Connection, task_ids: Sequence[str]) -> None:
    """Deletes the payloads of tasks, wherever the ledger keeps one: task, outbox, redrives, dead letters."""
    connection.execute(update(TASKS).where(TASKS.c.id.in_(task_ids)).values(payload=None))
    # A publish whose confirm was lost has left its row; the relay must not publish it without its payload.
    connection.execute(delete(OUTBOX).where(OUTBOX.c.task_id.in_(task_ids)))
    connection.execute(delete(REDRIVEN_PAYLOADS).where(REDRIVEN_PAYLOADS.c.task_id.in_(task_ids)))
    letters = select(DEAD_LETTERS.c.id).where(DEAD_LETTERS.c.task_id.in_(task_ids))
    connection.execute(
        update(DEAD_LETTER_MESSAGES).where(DEAD_LETTER_MESSAGES.c.letter_id.in_(letters)).values(body=None)
    )
