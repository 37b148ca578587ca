"""The outbox: messages that are accepted, and not known to be at the broker.

A row becomes available at a time: shortly after the accept (until then the gateway publishes it itself), or
when a scheduled task is due. A sweep that takes a row moves that time ahead, so that no other sweep takes it
meanwhile; if the sweep dies, the next one takes the row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, delete, select, update

from waybill_contracts.states import State
from waybill_contracts.wire import EXCHANGE_CONTROL, CancelRequested, Envelope
from waybill_database import DriverStatement, among
from waybill_ledger.outbox.pending_message import GATEWAY_SOURCE, LOW_PRIORITY, PendingMessage
from waybill_ledger.schema import OUTBOX, REDRIVEN_PAYLOADS, SUBTASKS, TASKS

#: How long the gateway has to publish a new row itself before the relay takes it over.
RELAY_GRACE: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Request to take due rows for publishing."""

    now: datetime
    #: Until when no other process takes these rows.
    until: datetime
    most: int


def take_due(connection: Connection, sweeps: Sequence[Sweep]) -> Sequence[list[PendingMessage]]:
    """Takes due rows for publishing, and sets scheduled tasks among them to pending.

    Rows of scheduled tasks of low priority are held from now on, not taken.
    """
    return [_take_due(connection, sweep) for sweep in sweeps]


def delete_published(connection: Connection, batches: Sequence[Sequence[int]]) -> Sequence[None]:
    """Deletes rows that the broker has confirmed."""
    _DELETE.write(connection, [{"ids": [i for batch in batches for i in batch]}])
    return [None] * len(batches)


def delete_swept(connection: Connection, batches: Sequence[tuple[Sequence[int], datetime]]) -> Sequence[None]:
    """Deletes confirmed rows of a sweep; the first heartbeat of their subtasks is due from now on.

    They may have waited long for the broker, and must not be overdue as soon as they are published. The
    gateway publishes at once, and does without this write.
    """
    outbox_ids = [i for batch, _ in batches for i in batch]
    # Rows of the outbox before those of tasks: the order of all writers, to avoid deadlocks.
    task_ids = connection.scalars(
        delete(OUTBOX).where(OUTBOX.c.id.in_(outbox_ids)).returning(OUTBOX.c.task_id)
    ).all()
    _expect_from(connection, task_ids, max(now for _, now in batches))
    return [None] * len(batches)


def put_back(connection: Connection, batches: Sequence[tuple[Sequence[int], datetime]]) -> Sequence[None]:
    """Makes rows available again from a time on, because their publish failed."""
    for outbox_ids, available_at in batches:
        connection.execute(
            update(OUTBOX).where(OUTBOX.c.id.in_(outbox_ids)).values(available_at=available_at)
        )
    return [None] * len(batches)


@dataclass(frozen=True, slots=True)
class Unpublished:
    """A message of a task that is not known to be at the broker."""

    available_at: datetime
    #: Whether it waits until the queues of its services are short.
    held: bool


def unpublished_of(connection: Connection, task_id: str) -> list[Unpublished]:
    """What a task has in the outbox, of all its services."""
    query = select(OUTBOX.c.available_at, OUTBOX.c.held).where(
        OUTBOX.c.task_id == task_id, OUTBOX.c.exchange != EXCHANGE_CONTROL
    )
    return [Unpublished(row.available_at, row.held) for row in connection.execute(query)]


def _expect_from(connection: Connection, task_ids: Sequence[str], now: datetime) -> None:
    # A locked task is being merged or cancelled: its heartbeat needs no new start.
    unlocked = connection.scalars(
        select(TASKS.c.id).where(TASKS.c.id.in_(task_ids)).with_for_update(skip_locked=True)
    ).all()
    connection.execute(
        update(SUBTASKS)
        .where(
            SUBTASKS.c.task_id.in_(unlocked),
            SUBTASKS.c.state == State.PENDING,
            SUBTASKS.c.expected_at < now,
        )
        .values(expected_at=now)
    )


def _take_due(connection: Connection, sweep: Sweep) -> list[PendingMessage]:
    due = connection.execute(
        OUTBOX_ROWS.where(~OUTBOX.c.held, OUTBOX.c.available_at <= sweep.now)
        .order_by(OUTBOX.c.available_at)
        .limit(sweep.most)
        .with_for_update(skip_locked=True, of=OUTBOX)
    ).all()
    if not due:
        return []
    low = [row for row in due if row.state == State.SCHEDULED and row.priority == LOW_PRIORITY]
    rows = [row for row in due if row not in low] if low else due
    _hold(connection, low, sweep.now)
    put_back(connection, [(outbox_ids(rows), sweep.until)])
    released = [row.task_id for row in rows if row.due_at is not None]
    _set_pending(connection, released, sweep.now, expected_at=sweep.now)
    return [message_of(row) for row in rows]


def _hold(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> None:
    connection.execute(update(OUTBOX).where(OUTBOX.c.id.in_(outbox_ids(rows))).values(held=True))
    _set_pending(connection, [row.task_id for row in rows], now, expected_at=None)


def _set_pending(
    connection: Connection, task_ids: Sequence[str], now: datetime, *, expected_at: datetime | None
) -> None:
    if not task_ids:
        return
    connection.execute(
        update(SUBTASKS)
        .where(SUBTASKS.c.task_id.in_(task_ids), SUBTASKS.c.state == State.SCHEDULED)
        .values(state=State.PENDING, next_attempt_at=None, updated_at=now, expected_at=expected_at)
    )
    connection.execute(
        update(TASKS)
        .where(TASKS.c.id.in_(task_ids), TASKS.c.state == State.SCHEDULED)
        .values(state=State.PENDING)
    )


def cancellation_row(task_id: str, service: str, available_at: datetime) -> dict[str, object]:
    """Row with the message to a service that a task is cancelled."""
    return {
        "task_id": task_id,
        "exchange": EXCHANGE_CONTROL,
        "routing_key": service,
        "attempt": 1,
        "snooze_no": 0,
        "redrive_no": 0,
        "available_at": available_at,
    }


def messages_of(connection: Connection, outbox_ids: Sequence[int]) -> list[PendingMessage]:
    """Messages of rows, without taking the rows."""
    return [message_of(row) for row in connection.execute(OUTBOX_ROWS.where(OUTBOX.c.id.in_(outbox_ids)))]


def outbox_ids(rows: Sequence[Row[Any]]) -> list[int]:
    """Ids of rows that `OUTBOX_ROWS` selected."""
    return [row._mapping[OUTBOX.c.id] for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def message_of(row: Row[Any]) -> PendingMessage:
    """Message of a row that `OUTBOX_ROWS` selected."""
    columns = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    envelope = Envelope(
        id=columns[TASKS.c.id],
        kind=columns[TASKS.c.kind],
        source=GATEWAY_SOURCE,
        time=columns[TASKS.c.created_at],
        dataschema=columns[REDRIVEN_PAYLOADS.c.dataschema] or columns[TASKS.c.dataschema],
        task_id=columns[TASKS.c.id],
        attempt=columns[OUTBOX.c.attempt],
        snooze_no=columns[OUTBOX.c.snooze_no],
        redrive_no=columns[OUTBOX.c.redrive_no],
        edit_no=columns[REDRIVEN_PAYLOADS.c.edit_no] or 0,
        # A redrive runs the task even after its deadline.
        deadline=None if columns[OUTBOX.c.redrive_no] else columns[TASKS.c.deadline],
        traceparent=columns[TASKS.c.traceparent],
    )
    return PendingMessage(
        columns[OUTBOX.c.id],
        columns[OUTBOX.c.exchange],
        columns[OUTBOX.c.routing_key],
        envelope,
        _body(row),
        columns[TASKS.c.correlation_id],
        columns[TASKS.c.priority],
    )


def _body(row: Row[Any]) -> bytes:
    columns = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    if columns[OUTBOX.c.exchange] == EXCHANGE_CONTROL:
        request = CancelRequested(
            task_id=columns[TASKS.c.id], requested_at=columns[TASKS.c.cancel_requested_at]
        )
        return request.model_dump_json().encode()
    payload: bytes | None = columns[REDRIVEN_PAYLOADS.c.payload]
    return columns[TASKS.c.payload] if payload is None else payload


#: Selects rows of the outbox with everything that their messages need.
OUTBOX_ROWS = (
    select(
        OUTBOX,
        TASKS,
        REDRIVEN_PAYLOADS.c.payload,
        REDRIVEN_PAYLOADS.c.dataschema,
        REDRIVEN_PAYLOADS.c.edit_no,
    )
    .join(TASKS, TASKS.c.id == OUTBOX.c.task_id)
    .outerjoin(
        REDRIVEN_PAYLOADS,
        # Task events for all services of a kind are routed by the kind, which is not the name of a queue.
        and_(
            REDRIVEN_PAYLOADS.c.task_id == OUTBOX.c.task_id,
            REDRIVEN_PAYLOADS.c.queue == OUTBOX.c.routing_key,
        ),
    )
)
_DELETE = DriverStatement(lambda dialect: delete(OUTBOX).where(among(dialect, OUTBOX.c.id, "ids")))
