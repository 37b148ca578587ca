"""Held work: low work stays in the outbox until the queues of its services are short.

So work of normal priority never queues behind it at the broker, on any version of RabbitMQ, and held work can
always be cancelled. A held subtask owes no heartbeat: it has no `expected_at`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, exists, func, select, update

from waybill_contracts.kinds import CATALOG
from waybill_contracts.states import State
from waybill_ledger.outbox.outbox import OUTBOX_ROWS, message_of, outbox_ids
from waybill_ledger.outbox.pending_message import PendingMessage
from waybill_ledger.schema import OUTBOX, SUBTASKS


@dataclass(frozen=True, slots=True)
class Feed:
    """Request to take held tasks of a kind for publishing, because the queues of its services are short."""

    kind: str
    now: datetime
    #: Until when no other process takes these rows.
    until: datetime
    most: int


def held_kinds(connection: Connection) -> list[str]:
    """Kinds with held tasks, the one with the longest waiting task first."""
    oldest = {kind: connection.scalar(_OLDEST.where(OUTBOX.c.routing_key == kind)) for kind in CATALOG}
    return [kind for _, kind in sorted((since, kind) for kind, since in oldest.items() if since is not None)]


def is_held() -> ColumnElement[bool]:
    """Condition: the task of the subtask is held; the feeder publishes it, the reconciler ignores it."""
    return exists().where(OUTBOX.c.task_id == SUBTASKS.c.task_id, OUTBOX.c.held).correlate(SUBTASKS)


def take_held(connection: Connection, feeds: Sequence[Feed]) -> Sequence[list[PendingMessage]]:
    """Takes held rows for publishing, oldest first; they are no longer held."""
    return [_take_held(connection, feed) for feed in feeds]


def _take_held(connection: Connection, feed: Feed) -> list[PendingMessage]:
    rows = connection.execute(
        OUTBOX_ROWS.where(OUTBOX.c.held, OUTBOX.c.routing_key == feed.kind)
        .order_by(OUTBOX.c.available_at)
        .limit(feed.most)
        .with_for_update(skip_locked=True, of=OUTBOX)
    ).all()
    if not rows:
        return []
    connection.execute(
        update(OUTBOX).where(OUTBOX.c.id.in_(outbox_ids(rows))).values(held=False, available_at=feed.until)
    )
    connection.execute(
        update(SUBTASKS)
        .where(SUBTASKS.c.task_id.in_([row.task_id for row in rows]), SUBTASKS.c.state == State.PENDING)
        .values(expected_at=feed.now)
    )
    return [message_of(row) for row in rows]


_OLDEST = select(func.min(OUTBOX.c.available_at)).where(OUTBOX.c.held)
