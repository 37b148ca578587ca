"""Releasing the slots of schedules that are due: each becomes an accepted task, once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import Connection, bindparam, func, select, update

from waybill_contracts.kinds.catalog import CATALOG
from waybill_contracts.privacy.seal import Keyring, SealBrokenError, UnknownKeyError
from waybill_ledger.acceptance.accept import insert_tasks
from waybill_ledger.acceptance.new_task import NewTask, Slot, new_task_id
from waybill_ledger.schedules.schedules import Missed, Schedule
from waybill_ledger.schema.tables import SCHEDULES, TASKS

#: A slot that is released later than this was missed.
MISSED_AFTER: Final = timedelta(minutes=1)
#: As much of an error as is kept.
_MAX_ERROR_LENGTH: Final = 1000


@dataclass(frozen=True, slots=True)
class ReleaseLook:
    """A wish to release what is due."""

    now: datetime
    #: Schedules released in one transaction.
    most: int
    #: Opens the bodies of schedules, and seals the payloads of their tasks.
    keyring: Keyring
    #: Ids of schedules that are left alone for now.
    passed_over: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Release:
    """What was done about one schedule that was due."""

    schedule: Schedule
    #: The tasks that were accepted, in the order of their slots.
    tasks: tuple[NewTask, ...]
    #: Whether earlier slots passed without a task.
    has_skipped: bool
    #: Why no task can be made of it any more; it is paused then.
    error: str | None = None
    #: Why no task can be made of it here and now; it stays due.
    closed: UnknownKeyError | None = None


def next_slot(connection: Connection) -> datetime | None:
    """When the next slot of any schedule is due; None if there is none."""
    due: datetime | None = connection.scalar(select(func.min(SCHEDULES.c.next_at)))
    return due


def release_due(connection: Connection, looks: Sequence[ReleaseLook]) -> Sequence[list[Release]]:
    """Releases what is due; a batch write for `Records.write`.

    The tasks and the schedule's next slot are written together, so that a slot is released once or not yet,
    whenever a process dies. Two callers at once take different schedules.
    """
    return [_release_due(connection, look) for look in looks]


def _release_due(connection: Connection, look: ReleaseLook) -> list[Release]:
    rows = connection.execute(
        select(SCHEDULES)
        .where(SCHEDULES.c.next_at <= look.now, SCHEDULES.c.id.not_in(look.passed_over))
        .order_by(SCHEDULES.c.next_at)
        .limit(look.most)
        .with_for_update(skip_locked=True)
    ).all()
    releases = [_release(connection, Schedule.of(row), look) for row in rows]
    insert_tasks(connection, [task for release in releases for task in release.tasks])
    after = [_after(release, look.now) for release in releases if release.closed is None]
    if after:
        connection.execute(_MOVE_ON, after)
    return releases


def _release(connection: Connection, schedule: Schedule, look: ReleaseLook) -> Release:
    slots = _slots_to_run(schedule, look.now)
    has_skipped = not slots or slots[0] != schedule.next_at
    slots = _not_released(connection, schedule, slots)
    try:
        body = look.keyring.open_fields(schedule.plan.body, schedule.id)
        tasks = tuple(_task(schedule, body, slot, look) for slot in slots)
    except UnknownKeyError as unknown:
        return Release(schedule, (), has_skipped=False, closed=unknown)
    except SealBrokenError as broken:
        return Release(schedule, (), has_skipped, f"its body cannot be opened: {broken}")
    except ValidationError as error:
        return Release(schedule, (), has_skipped, _in_words(error))
    return Release(schedule, tasks, has_skipped)


def _slots_to_run(schedule: Schedule, now: datetime) -> list[datetime]:
    plan = schedule.plan
    most = plan.missed_limit if plan.missed is Missed.RUN_ALL else 1
    slots = schedule.recurrence.latest(schedule.next_at or now, now, most)
    if plan.missed is Missed.SKIP and slots and now - slots[-1] > MISSED_AFTER:
        return []
    return slots


def _not_released(connection: Connection, schedule: Schedule, slots: list[datetime]) -> list[datetime]:
    """The slots without those that were released ahead of their time, when a clock was ahead."""
    if schedule.last_slot_at is None or not slots or slots[0] > schedule.last_slot_at:
        return slots
    released = set(
        connection.scalars(
            select(TASKS.c.slot_at).where(TASKS.c.schedule_id == schedule.id, TASKS.c.slot_at.in_(slots))
        )
    )
    return [slot for slot in slots if slot not in released]


def _task(schedule: Schedule, body: dict[str, Any], slot: datetime, look: ReleaseLook) -> NewTask:
    task_id = new_task_id()
    return NewTask.of(
        CATALOG[schedule.plan.kind].event.of_posted(body, task_id),
        look.keyring,
        id=task_id,
        created_at=look.now,
        correlation_id=schedule.plan.name,
        about=schedule.plan.about,
        person=schedule.plan.person,
        priority=schedule.plan.priority,
        slot=Slot(schedule.id, slot),
        tenant=schedule.tenant,
    )


def _in_words(error: ValidationError) -> str:
    # Without the values: they may be private.
    wrong = "; ".join(
        f"{'.'.join(map(str, line['loc'])) or 'body'}: {line['msg']}" for line in error.errors()
    )
    return f"the contract does not allow its body any more: {wrong}"[:_MAX_ERROR_LENGTH]


def _after(release: Release, now: datetime) -> dict[str, Any]:
    schedule = release.schedule
    released = [task.slot.at for task in release.tasks if task.slot is not None]
    # The latest of all, though a clock that was ahead have released it.
    last = max((*released, *filter(None, [schedule.last_slot_at])), default=None)
    return {
        "b_id": schedule.id,
        "b_paused": release.error is not None,
        "b_next_at": None if release.error is not None else schedule.recurrence.first(now),
        "b_last_slot_at": last,
        "b_error": release.error,
    }


#: One statement for all: a round trip for each would be most of what a thousand at once take.
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
