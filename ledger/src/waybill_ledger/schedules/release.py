"""Release of due slots of schedules: each becomes an accepted task, once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from waybill_contracts.privacy import Keyring, SealBrokenError, UnknownKeyError
from waybill_contracts.registry import DataFault, Registry
from waybill_ledger.acceptance import NewTask, Slot, insert_tasks, new_task_id
from waybill_ledger.schedules.schedules import Missed, Schedule
from waybill_ledger.schema import SCHEDULES, TASKS

#: A slot released later than this counts as missed.
MISSED_AFTER: Final = timedelta(minutes=1)
#: Longest error that is stored.
_MAX_ERROR_LENGTH: Final = 1000
#: Name of the field in bodies of earlier releases that the contract marks as the id of the task.
_FORMER_ID: Final = "id"


class UnfitScheduleError(Exception):
    """No task can be made of the schedule."""


@dataclass(frozen=True, slots=True)
class ReleaseBatch:
    """Request to release due slots."""

    now: datetime
    #: Most schedules in one transaction.
    most: int
    #: Opens the bodies of schedules, and seals the payloads of their tasks.
    keyring: Keyring
    #: Has the kinds of the schedules.
    registry: Registry
    #: Ids of schedules to skip for now.
    skipped: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Release:
    """Result for one schedule that was due."""

    schedule: Schedule
    #: Accepted tasks, in the order of their slots.
    tasks: tuple[NewTask, ...]
    #: Whether earlier slots passed without a task.
    has_skipped: bool
    #: Why no task can be made of it; it is paused then.
    error: str | None = None
    #: Key that is missing here; the schedule stays due.
    closed: UnknownKeyError | None = None


def release_due(connection: Connection, batches: Sequence[ReleaseBatch]) -> Sequence[list[Release]]:
    """Releases due slots; a batch write for `Records.write`.

    Tasks and the next slot of the schedule are written together, so a slot is released once, whenever a
    process dies. Concurrent callers take different schedules.
    """
    return [_release_due(connection, batch) for batch in batches]


def task_beside_slots(schedule: Schedule, batch: ReleaseBatch) -> NewTask:
    """A task of a schedule as of now, beside its slots; not accepted yet.

    Args:
        schedule: also one that is paused.
        batch: has the time, the keys and the kinds.

    Raises:
        UnfitScheduleError: its kind has no service, or its contract does not allow its body any more.
        UnknownKeyError: a sealing key is missing here.
        SealBrokenError: its body was altered.
    """
    body = batch.keyring.open_fields(schedule.plan.body, schedule.id)
    return _task(schedule, body, batch.now, batch)


def _release_due(connection: Connection, batch: ReleaseBatch) -> list[Release]:
    rows = connection.execute(
        select(SCHEDULES)
        .where(SCHEDULES.c.next_at <= batch.now, SCHEDULES.c.id.not_in(batch.skipped))
        .order_by(SCHEDULES.c.next_at)
        .limit(batch.most)
        .with_for_update(skip_locked=True)
    ).all()
    releases = [_release(connection, Schedule.of(row), batch) for row in rows]
    insert_tasks(connection, [task for release in releases for task in release.tasks])
    after = [_after(release, batch.now) for release in releases if release.closed is None]
    if after:
        connection.execute(_MOVE_ON, after)
    return releases


def _release(connection: Connection, schedule: Schedule, batch: ReleaseBatch) -> Release:
    slots = _slots_to_run(schedule, batch.now)
    has_skipped = not slots or slots[0] != schedule.next_at
    slots = _not_released(connection, schedule, slots)
    try:
        body = batch.keyring.open_fields(schedule.plan.body, schedule.id)
        tasks = tuple(_task(schedule, body, slot, batch) for slot in slots)
    except UnknownKeyError as unknown:
        return Release(schedule, (), has_skipped=False, closed=unknown)
    except SealBrokenError as broken:
        return Release(schedule, (), has_skipped, f"its body cannot be opened: {broken}")
    except UnfitScheduleError as error:
        return Release(schedule, (), has_skipped, str(error)[:_MAX_ERROR_LENGTH])
    return Release(schedule, tasks, has_skipped)


def _slots_to_run(schedule: Schedule, now: datetime) -> list[datetime]:
    plan = schedule.plan
    most = plan.missed_limit if plan.missed is Missed.RUN_ALL else 1
    slots = schedule.recurrence.latest(schedule.next_at or now, now, most)
    if plan.missed is Missed.SKIP and slots and now - slots[-1] > MISSED_AFTER:
        return []
    return slots


def _not_released(connection: Connection, schedule: Schedule, slots: list[datetime]) -> list[datetime]:
    """Slots without those that were released early, when a clock was ahead."""
    if schedule.last_slot_at is None or not slots or slots[0] > schedule.last_slot_at:
        return slots
    released = set(
        connection.scalars(
            select(TASKS.c.slot_at).where(TASKS.c.schedule_id == schedule.id, TASKS.c.slot_at.in_(slots))
        )
    )
    return [slot for slot in slots if slot not in released]


def _task(schedule: Schedule, body: dict[str, Any], slot: datetime, batch: ReleaseBatch) -> NewTask:
    task_id = new_task_id()
    kind = batch.registry.find(schedule.plan.kind)
    if kind is None or not kind.services:
        raise UnfitScheduleError(f"no service handles {schedule.plan.kind} any more")
    contract, data = kind.current, dict(body)
    if contract.task_id_field is not None and _FORMER_ID in body and _FORMER_ID not in contract.fields:
        data[contract.task_id_field] = data.pop(_FORMER_ID)
    if faults := contract.faults(contract.completed(data, task_id)):
        raise UnfitScheduleError(_message_of(faults))
    return NewTask.of(
        kind,
        data,
        batch.keyring,
        id=task_id,
        created_at=batch.now,
        correlation_id=schedule.plan.name,
        about=schedule.plan.about,
        person=schedule.plan.person,
        priority=schedule.plan.priority,
        slot=Slot(schedule.id, slot),
        tenant=schedule.tenant,
    )


def _message_of(faults: Sequence[DataFault]) -> str:
    # Without values: they may be personal data.
    wrong = "; ".join(f"{'.'.join(map(str, fault.path)) or 'body'}: {fault.message}" for fault in faults)
    return f"the contract does not allow its body any more: {wrong}"


def _after(release: Release, now: datetime) -> dict[str, Any]:
    schedule = release.schedule
    released = [task.slot.at for task in release.tasks if task.slot is not None]
    # The latest of all, even if a clock that was ahead released it.
    last = max((*released, *filter(None, [schedule.last_slot_at])), default=None)
    return {
        "b_id": schedule.id,
        "b_paused": release.error is not None,
        "b_next_at": None if release.error is not None else schedule.recurrence.first(now),
        "b_last_slot_at": last,
        "b_error": release.error,
    }


#: One statement for all: with a round trip for each a thousand schedules would take much longer.
_MOVE_ON: Final = (
    update(SCHEDULES)
    .where(SCHEDULES.c.id == bindparam("b_id"))
    .values(
        paused=bindparam("b_paused"),
        next_at=bindparam("b_next_at"),
        last_slot_at=bindparam("b_last_slot_at"),
        error=bindparam("b_error"),
    )
)
