"""What the gateway answers about schedules."""

from datetime import datetime
from typing import Any

from waybill.answers.base import Answered, StateOrText
from waybill.answers.tasks import Links


class ScheduleLinks(Answered):
    """Paths of the gateway about a schedule."""

    self: str
    tasks: str


class Schedule(Answered):
    """A schedule, and its next slots.

    for schedule in client.schedules.list():
        print(schedule.name, schedule.cron, schedule.next)
    """

    id: str
    name: str
    kind: str
    #: The data of its tasks; sensitive fields are masked.
    body: dict[str, Any]
    cron: str | None
    every_seconds: int | None
    timezone: str
    starts_at: datetime | None
    ends_at: datetime | None
    #: `skip`, `run_once` or `run_all`.
    missed: str
    missed_limit: int
    priority: str
    paused: bool
    created_at: datetime
    updated_at: datetime
    #: The next slots, in the schedule's time zone; none while paused.
    next: list[datetime]
    #: The last slot with a task.
    last_slot_at: datetime | None
    #: Why Waybill paused it: it cannot make tasks any more.
    error: str | None
    links: ScheduleLinks


class SlotTask(Answered):
    """A task that a schedule made.

    for task in client.schedules.get(schedule.id).last_tasks:
        print(task.slot, task.state)
    """

    id: str
    state: StateOrText
    slot: datetime
    links: Links


class ScheduleDetails(Schedule):
    """A schedule with its last tasks.

    found = client.schedules.get(schedule.id)
    print(found.next[0], len(found.last_tasks))
    """

    last_tasks: list[SlotTask]
