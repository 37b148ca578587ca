"""Payloads that a new release must be able to read, for a check before it is deployed.

Wherever a task waits, in the outbox, a work queue or on the delay ladder, the ledger has its payload, and
knows that it has no outcome.
"""

from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, and_, func, or_, select

from waybill_contracts.registry import Registry
from waybill_contracts.wire import work_queue
from waybill_ledger.deadletters import LetterState
from waybill_ledger.schema import (
    DEAD_LETTER_MESSAGES,
    DEAD_LETTERS,
    REDRIVEN_PAYLOADS,
    SUBTASKS,
    TASKS,
    owned_by,
)

#: Suffix of the names of work queues.
_QUEUE_END = work_queue("")


def waiting_tasks(
    connection: Connection,
    *,
    registry: Registry,
    after: tuple[str, str],
    limit: int,
    tenant: str | None = None,
) -> list[dict[str, Any]]:
    """The next subtasks without an outcome after `after`, a task id and a service."""
    task_id, service = after
    query = (
        select(
            SUBTASKS.c.task_id,
            SUBTASKS.c.service,
            TASKS.c.kind,
            func.coalesce(REDRIVEN_PAYLOADS.c.dataschema, TASKS.c.dataschema).label("dataschema"),
            func.coalesce(REDRIVEN_PAYLOADS.c.payload, TASKS.c.payload).label("body"),
        )
        .join(TASKS, TASKS.c.id == SUBTASKS.c.task_id)
        .outerjoin(
            REDRIVEN_PAYLOADS,
            and_(
                REDRIVEN_PAYLOADS.c.task_id == SUBTASKS.c.task_id,
                REDRIVEN_PAYLOADS.c.queue == SUBTASKS.c.service + _QUEUE_END,
            ),
        )
        .where(
            SUBTASKS.c.expected_at.is_not(None),
            *owned_by(tenant, TASKS.c.tenant),
            or_(
                SUBTASKS.c.task_id > task_id,
                and_(SUBTASKS.c.task_id == task_id, SUBTASKS.c.service > service),
            ),
        )
        .order_by(SUBTASKS.c.task_id, SUBTASKS.c.service)
        .limit(limit)
    )
    return [_waiting("task", row.task_id, row, registry) for row in connection.execute(query)]


def waiting_letters(
    connection: Connection, *, registry: Registry, after: int, limit: int, tenant: str | None = None
) -> list[dict[str, Any]]:
    """The next open letters after `after` that could be redriven."""
    query = (
        select(
            DEAD_LETTERS.c.id,
            DEAD_LETTERS.c.service,
            DEAD_LETTERS.c.kind,
            DEAD_LETTERS.c.dataschema,
            DEAD_LETTER_MESSAGES.c.body,
        )
        .join(DEAD_LETTER_MESSAGES, DEAD_LETTER_MESSAGES.c.letter_id == DEAD_LETTERS.c.id)
        .where(
            DEAD_LETTERS.c.state == LetterState.DEAD,
            *owned_by(tenant, DEAD_LETTERS.c.tenant),
            DEAD_LETTERS.c.kind.is_not(None),
            DEAD_LETTERS.c.id > after,
        )
        .order_by(DEAD_LETTERS.c.id)
        .limit(limit)
    )
    return [_waiting("dead_letter", row.id, row, registry) for row in connection.execute(query)]


def _waiting(where: str, id_: str | int, row: Any, registry: Registry) -> dict[str, Any]:
    try:
        payload = from_json(row.body or b"")
    except ValueError:
        payload = None
    hidden = registry.sensitive(row.kind)
    if isinstance(payload, dict):
        payload = {name: value for name, value in payload.items() if name not in hidden}
    return {
        "where": where,
        "id": id_,
        "service": row.service,
        "kind": row.kind,
        "dataschema": row.dataschema,
        "payload": payload,
        "redacted": sorted(hidden),
    }
