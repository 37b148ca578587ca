"""Deleting payloads that must not outlive their use: those of completed kinds that hold secrets."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, or_, select, update

from waybill_ledger.schema import (
    CONTRACTS,
    DEAD_LETTER_MESSAGES,
    DEAD_LETTERS,
    OUTBOX,
    REDRIVEN_PAYLOADS,
    TASKS,
)


def delete_payloads(connection: Connection, used: Sequence[str]) -> None:
    """Deletes the payloads of tasks that hold secrets: in task, outbox, redrives, dead letters.

    Args:
        connection: in the transaction that completes the tasks.
        used: ids of the tasks. Those of an earlier release do not say whether they hold secrets.
    """
    kinds = select(CONTRACTS.c.kind).where(CONTRACTS.c.secret)
    holds_secrets = or_(TASKS.c.secret, and_(TASKS.c.secret.is_(None), TASKS.c.kind.in_(kinds)))
    task_ids = connection.scalars(select(TASKS.c.id).where(TASKS.c.id.in_(used), holds_secrets)).all()
    if not task_ids:
        return
    connection.execute(update(TASKS).where(TASKS.c.id.in_(task_ids)).values(payload=None))
    # A publish whose confirm was lost has left its row; the relay must not publish it without its payload.
    connection.execute(delete(OUTBOX).where(OUTBOX.c.task_id.in_(task_ids)))
    connection.execute(delete(REDRIVEN_PAYLOADS).where(REDRIVEN_PAYLOADS.c.task_id.in_(task_ids)))
    letters = select(DEAD_LETTERS.c.id).where(DEAD_LETTERS.c.task_id.in_(task_ids))
    connection.execute(
        update(DEAD_LETTER_MESSAGES).where(DEAD_LETTER_MESSAGES.c.letter_id.in_(letters)).values(body=None)
    )
