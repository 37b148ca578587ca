"""Cancelling tasks, and what a cancellation can still prevent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from waybill_contracts.states import State
from waybill_contracts.wire import (
    LifecycleData,
    LifecycleEvent,
    LifecycleType,
    lifecycle_event,
)
from waybill_ledger.outbox import RELAY_GRACE, PendingMessage, cancellation_row, messages_of
from waybill_ledger.progress import apply_events
from waybill_ledger.reports import Task, get_task
from waybill_ledger.schema import OUTBOX, TASKS, owned_by


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Request to cancel a task."""

    task_id: str
    now: datetime
    #: Tenant that must own it; None: any.
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Prevented:
    """No message of it had left the ledger, or it is cancelled already: no attempt of it will begin."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The services are asked to stop. Each subtask ends cancelled, or with its own outcome."""

    #: Messages to publish now, one for each service with a part in it; none if an earlier call did.
    messages: Sequence[PendingMessage] = ()


@dataclass(frozen=True, slots=True)
class TooLate:
    """The task has its outcome."""

    state: State


Answer = Prevented | Stopping | TooLate


def cancel(connection: Connection, cancellations: Sequence[Cancellation]) -> Sequence[Answer | None]:
    """Cancels tasks; a batch write for `Records.write`. None: no such task."""
    return [_cancel(connection, each) for each in cancellations]


def _cancel(connection: Connection, request: Cancellation) -> Answer | None:
    # In the order in which the relay locks them, to avoid a deadlock. A relay that is releasing the task
    # holds its row: the state read after this is the one that it left.
    in_outbox = (
        select(OUTBOX.c.id, OUTBOX.c.held).where(OUTBOX.c.task_id == request.task_id).with_for_update()
    )
    rows = connection.execute(in_outbox).all()
    locked = connection.execute(
        select(TASKS.c.cancel_requested_at)
        .where(TASKS.c.id == request.task_id, *owned_by(request.tenant, TASKS.c.tenant))
        .with_for_update()
    ).one_or_none()
    if locked is None:
        return None
    task = get_task(connection, request.task_id)
    if task is None:
        return None
    if task.state.is_terminal:
        return Prevented() if task.state is State.CANCELLED else TooLate(task.state)
    if task.state is State.SCHEDULED or any(row.held for row in rows):
        connection.execute(delete(OUTBOX).where(OUTBOX.c.id.in_([row.id for row in rows])))
        apply_events(
            connection, [_never_run(task, subtask.service, request.now) for subtask in task.subtasks]
        )
        return Prevented()
    if locked.cancel_requested_at is not None:
        return Stopping()
    return Stopping(_request_stop(connection, task, request.now))


def _never_run(task: Task, service: str, now: datetime) -> LifecycleEvent:
    data = LifecycleData(
        task_id=task.id, service=service, kind=task.kind, redrive_no=0, attempt=1, max_attempts=1
    )
    return lifecycle_event(LifecycleType.CANCELLED, now, data)


def _request_stop(connection: Connection, task: Task, now: datetime) -> Sequence[PendingMessage]:
    connection.execute(update(TASKS).where(TASKS.c.id == task.id).values(cancel_requested_at=now))
    # Not to all services: those without a part in it would store it, or, if nobody runs them, pile it up. But
    # also to those whose part has ended: a part that failed may be redriven.
    rows = [cancellation_row(task.id, subtask.service, now + RELAY_GRACE) for subtask in task.subtasks]
    outbox_ids = connection.scalars(insert(OUTBOX).returning(OUTBOX.c.id), rows).all()
    return messages_of(connection, outbox_ids)
