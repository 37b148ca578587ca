"""Held work: low work stays in the outbox until the queues of its services are short.

So work of normal priority never queues behind it at the broker, on any version of RabbitMQ, and held work can
always be cancelled. A held subtask owes no heartbeat: it has no `expected_at`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, exists, func, select, update

from waybill_contracts.states import State
from waybill_ledger.outbox.outbox import OUTBOX_ROWS, message_of, outbox_ids
from waybill_ledger.outbox.pending_message import PendingMessage
from waybill_ledger.schema import OUTBOX, SUBTASKS


@dataclass(frozen=True, slots=True)
class Feed:
    """Request to take held tasks of a route for publishing, because the queues of its services are short."""

    routing_key: str
    now: datetime
    #: Until when no other process takes these rows.
    until: datetime
    most: int


def held_routing_keys(connection: Connection) -> list[str]:
    """Routing keys of held tasks, that of the longest waiting task first."""
    return list(connection.scalars(_HELD_ROUTING_KEYS))


def is_held() -> ColumnElement[bool]:
    """Condition: the task of the subtask is held; the feeder publishes it, the reconciler ignores it."""
    return exists().where(OUTBOX.c.task_id == SUBTASKS.c.task_id, OUTBOX.c.held).correlate(SUBTASKS)


def take_held(connection: Connection, feeds: Sequence[Feed]) -> Sequence[list[PendingMessage]]:
    """Takes held rows for publishing, oldest first; they are no longer held."""
    return [_take_held(connection, feed) for feed in feeds]


def _take_held(connection: Connection, feed: Feed) -> list[PendingMessage]:
    rows = connection.execute(
        OUTBOX_ROWS.where(OUTBOX.c.held, OUTBOX.c.routing_key == feed.routing_key)
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


def _held_routing_keys() -> Select[tuple[str]]:
    """One step in the index for each routing key, however many tasks are held."""
    held = select(func.min(OUTBOX.c.routing_key).label("key")).where(OUTBOX.c.held)
    keys = held.cte("keys", recursive=True)
    following = held.where(OUTBOX.c.routing_key > keys.c.key).scalar_subquery()
    keys = keys.union_all(select(following).where(keys.c.key.is_not(None)))
    oldest = select(func.min(OUTBOX.c.available_at)).where(OUTBOX.c.held, OUTBOX.c.routing_key == keys.c.key)
    return select(keys.c.key).where(keys.c.key.is_not(None)).order_by(oldest.scalar_subquery(), keys.c.key)


# Built once: to build a statement takes longer than to run it.
_HELD_ROUTING_KEYS = _held_routing_keys()
