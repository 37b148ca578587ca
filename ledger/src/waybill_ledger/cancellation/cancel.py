"""Calling tasks off, and saying truthfully what that can still do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from waybill_contracts.wire.lifecycle import LifecycleData, LifecycleEvent, LifecycleType, lifecycle_event
from waybill_contracts.wire.names import EXCHANGE_CONTROL
from waybill_contracts.wire.states import State
from waybill_ledger.outbox.outbox import RELAY_GRACE, messages_of
from waybill_ledger.outbox.pending_message import PendingMessage
from waybill_ledger.progress.merge import apply_events
from waybill_ledger.reports.queries import Task, get_task
from waybill_ledger.schema.tables import OUTBOX, TASKS
from waybill_ledger.schema.tenants import owned_by


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A wish to call a task off."""

    task_id: str
    now: datetime
    #: Whose it must be; None: anybody's.
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Prevented:
    """Nothing of it had left the ledger, or it is cancelled already: no attempt of it will begin."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The services are told. Each subtask ends cancelled, or with what it was past stopping."""

    #: To be published at once; None if an earlier call has done it.
    message: PendingMessage | None


@dataclass(frozen=True, slots=True)
class TooLate:
    """It has its outcome."""

    state: State


Answer = Prevented | Stopping | TooLate


def cancel(connection: Connection, cancellations: Sequence[Cancellation]) -> Sequence[Answer | None]:
    """Calls tasks off; a batch write for `Records.write`. None: there is no such task."""
    return [_cancel(connection, each) for each in cancellations]


def _cancel(connection: Connection, wish: Cancellation) -> Answer | None:
    # In the order in which a sweep locks them, or the two could wait for each other. One that is just
    # releasing the task holds its row: what is read after this is what it left behind.
    in_outbox = select(OUTBOX.c.id, OUTBOX.c.held).where(OUTBOX.c.task_id == wish.task_id).with_for_update()
    rows = connection.execute(in_outbox).all()
    locked = connection.execute(
        select(TASKS.c.cancel_requested_at)
        .where(TASKS.c.id == wish.task_id, *owned_by(wish.tenant, TASKS.c.tenant))
        .with_for_update()
    ).one_or_none()
    if locked is None:
        return None
    task = get_task(connection, wish.task_id)
    if task is None:
        return None
    if task.state.is_terminal:
        return Prevented() if task.state is State.CANCELLED else TooLate(task.state)
    if task.state is State.SCHEDULED or any(row.held for row in rows):
        connection.execute(delete(OUTBOX).where(OUTBOX.c.id.in_([row.id for row in rows])))
        apply_events(connection, [_never_run(task, subtask.service, wish.now) for subtask in task.subtasks])
        return Prevented()
    if locked.cancel_requested_at is not None:
        return Stopping(None)
    return Stopping(_tell_services(connection, task, wish.now))


def _never_run(task: Task, service: str, now: datetime) -> LifecycleEvent:
    data = LifecycleData(
        task_id=task.id, service=service, kind=task.kind, redrive_no=0, attempt=1, max_attempts=1
    )
    return lifecycle_event(LifecycleType.CANCELLED, now, data)


def _tell_services(connection: Connection, task: Task, now: datetime) -> PendingMessage:
    connection.execute(update(TASKS).where(TASKS.c.id == task.id).values(cancel_requested_at=now))
    outbox_id = connection.scalars(
        insert(OUTBOX).returning(OUTBOX.c.id),
        {
            "task_id": task.id,
            "exchange": EXCHANGE_CONTROL,
            "routing_key": "",
            "attempt": 1,
            "redrive_no": 0,
            "available_at": now + RELAY_GRACE,
        },
    ).one()
    (message,) = messages_of(connection, [outbox_id])
    return message
