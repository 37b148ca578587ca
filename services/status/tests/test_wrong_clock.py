"""A machine's clock that is a day ahead makes nothing early, and nothing late once it is right again."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import update

from waybill_contracts.privacy.seal import NO_KEYS
from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import LifecycleEvent, LifecycleType
from waybill_database import Records
from waybill_database.clock import TRUST_AFTER, Clock, elapsed_seconds
from waybill_ledger import (
    Accepted,
    Created,
    NewSchedule,
    StallTimeouts,
    Submission,
    accept,
    apply_events,
    create_schedules,
    delete_published,
    get_schedule,
    get_task,
    new_task_id,
)
from waybill_ledger.registry import RegistryCopy
from waybill_ledger.schema.tables import SUBTASKS, TASKS
from waybill_status.outbox.outbox_relay import OutboxRelay
from waybill_status.outlooks import Outlooks
from waybill_status.schedules.releaser import ScheduleReleaser
from waybill_status.schedules.slot_check import SlotCheck
from waybill_status.upkeep.metrics import StatusMetrics
from waybill_status.upkeep.pruner import Pruner, Retention
from waybill_status.upkeep.reconciler import Reconciler
from waybill_testkit.samples import new_task, plan, reported

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PATIENCE = StallTimeouts(*[timedelta(minutes=1)] * 3)
#: Whoever publishes though nothing is due fails.
NOBODY: Any = None


class Machine:
    """The machine of a status service, whose clock can be set."""

    def __init__(self, records: Records) -> None:
        self.ahead = timedelta()
        self.passed = 0.0
        self.records = records
        records.clock = Clock(
            is_remote=records.engine.dialect.name == "postgresql",
            system=self.shown,
            elapsed=lambda: elapsed_seconds() + self.passed,
        )

    def shown(self) -> datetime:
        return datetime.now(UTC) + self.ahead + timedelta(seconds=self.passed)

    async def set_ahead(self, by: timedelta) -> None:
        self.ahead = by
        await self.records.sync_clock()

    def set_all_clocks_ahead(self, by: timedelta) -> None:
        """For so long that it is believed, and the database's too."""
        self.ahead = by
        self.records.clock.observe(self.shown())
        self.passed += TRUST_AFTER.total_seconds()
        self.records.clock.observe(self.shown())

    def set_all_clocks_right(self) -> None:
        self.ahead, self.passed = timedelta(), 0.0
        self.records.clock.observe(self.shown())


@pytest.fixture
async def machine(records: Records) -> Machine:
    machine = Machine(records)
    await records.sync_clock()
    return machine


async def accepted(records: Records, **fields: Any) -> str:
    task = new_task(**fields)
    made = await records.write(accept, Submission(task))
    assert isinstance(made, Accepted)
    if task.due_at is None:
        assert made.message is not None
        await records.write(delete_published, [made.message.outbox_id])
    return task.id


async def state_of(records: Records, task_id: str) -> State | None:
    task = await records.read(partial(get_task, task_id=task_id))
    return None if task is None else task.state


async def finished(records: Records, at: datetime) -> str:
    task_id = await accepted(records, created_at=at)

    def write(connection: Any, events: Any) -> list[None]:
        apply_events(connection, events)
        connection.execute(update(TASKS).where(TASKS.c.id == task_id).values(completed_at=at))
        connection.execute(update(SUBTASKS).where(SUBTASKS.c.task_id == task_id).values(updated_at=at))
        return [None] * len(events)

    done: LifecycleEvent = reported(LifecycleType.COMPLETED, task_id, result={"done": True})
    await records.write(write, done)
    return task_id


async def test_nothing_is_sent_released_put_back_or_forgotten_early(machine: Machine) -> None:
    records, now = machine.records, datetime.now(UTC)
    in_two_hours = await accepted(records, created_at=now, due_at=now + 2 * HOUR)
    old = await finished(records, now - 29 * DAY - HOUR)
    created = await records.write(
        create_schedules, NewSchedule(new_task_id(), plan(cron="0 3 * * *"), now, 100)
    )
    assert isinstance(created, Created)
    metrics = StatusMetrics(CollectorRegistry())
    retention = Retention(tasks=30 * DAY, failed=90 * DAY, keys=30 * DAY)
    await machine.set_ahead(DAY)

    assert await OutboxRelay(records, NOBODY, Outlooks(records)).sweep() == 0
    assert await ScheduleReleaser(records, NO_KEYS, RegistryCopy(records), Outlooks(records)).release() == []
    assert await Pruner(records, retention, look_seconds=1, metrics=metrics).prune() == 0
    reconciler = Reconciler(records, timeouts=PATIENCE, look_seconds=1, queue_stats=NOBODY, metrics=metrics)
    assert await reconciler.reconcile() == []
    assert await state_of(records, in_two_hours) is State.SCHEDULED
    assert await state_of(records, old) is State.COMPLETED


async def test_a_schedule_that_was_released_by_a_wrong_clock_is_due_at_its_next_slot_again(
    machine: Machine,
) -> None:
    records, now = machine.records, datetime.now(UTC)
    created = await records.write(create_schedules, NewSchedule(new_task_id(), plan(), now, 100))
    assert isinstance(created, Created)
    machine.set_all_clocks_ahead(DAY)
    [release] = await ScheduleReleaser(records, NO_KEYS, RegistryCopy(records), Outlooks(records)).release()
    assert len(release.tasks) == 1

    machine.set_all_clocks_right()
    assert await SlotCheck(records).check() == 1
    found = await records.read(partial(get_schedule, schedule_id=created.schedule.id))
    assert found is not None
    assert found.next_at == found.recurrence.first(datetime.now(UTC))
