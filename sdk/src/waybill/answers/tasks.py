"""What the gateway answers about tasks."""

from datetime import datetime
from typing import Any, Literal

from waybill.answers.base import Answered, StateOrText
from waybill_contracts.states import State


class Links(Answered):
    """Paths of the gateway about a task.

    print(client.submit(event).links.watch)
    """

    self: str
    timeline: str
    #: Shows the state of the task to a browser without a key, for a time; None: the answer is about several
    #: tasks, or no links are made.
    watch: str | None = None


class AcceptedTask(Answered):
    """A task that was accepted.

        accepted = client.submit(event)
        order.task_id = accepted.id

    From now on it is accounted for.
    """

    id: str
    kind: str
    state: StateOrText
    links: Links


class AcceptedTasks(Answered):
    """Tasks that were accepted together, in the order in which they were submitted."""

    tasks: list[AcceptedTask]


class Progress(Answered):
    """How far an attempt is, as its handler reported last.

    for subtask in client.get(task.id).subtasks:
        if subtask.progress is not None:
            print(subtask.progress.share, subtask.progress.text)
    """

    #: From 0 to 1; None: unknown.
    share: float | None
    text: str
    at: datetime


class Subtask(Answered):
    """The part of a task that one service does.

    for subtask in client.get(task.id).subtasks:
        print(subtask.service, subtask.state, subtask.attempt, subtask.error)
    """

    service: str
    state: StateOrText
    attempt: int
    max_attempts: int | None
    next_attempt_at: datetime | None
    redrive_no: int
    updated_at: datetime
    #: Of the attempt that runs; None: none runs, or reported any.
    progress: Progress | None
    result: dict[str, Any] | None
    error: dict[str, Any] | None


class Slot(Answered):
    """The schedule that made a task, and the time that it was due at.

    if (slot := client.get(task.id).schedule) is not None:
        print(slot.id, slot.slot)
    """

    id: str
    slot: datetime


class Parent(Answered):
    """The task that spawned a task, and the service whose handler did.

    if (parent := client.get(task.id).parent) is not None:
        print(client.get(parent.id).kind)
    """

    id: str
    service: str


class Task(Answered):
    """A task with its subtasks, as it was when the gateway answered.

        task = client.get(accepted.id)
        if task.is_ended:
            print(task.state, task.result)

    A task has a subtask for each service that handles its kind.
    """

    id: str
    kind: str
    state: StateOrText
    created_at: datetime
    due_at: datetime | None
    completed_at: datetime | None
    correlation_id: str
    trace_id: str | None
    about: str
    priority: str
    schedule: Slot | None
    parent: Parent | None
    #: Tasks that it has spawned.
    children: int
    #: When its personal data was erased; None: it was not.
    erased_at: datetime | None
    subtasks: list[Subtask]
    links: Links

    @property
    def is_ended(self) -> bool:
        """Whether it has its outcome: completed, failed or cancelled."""
        return isinstance(self.state, State) and self.state.is_terminal

    @property
    def result(self) -> dict[str, Any] | None:
        """The result of its only service; None: there is none yet, or several services work on it."""
        return self.subtasks[0].result if len(self.subtasks) == 1 else None


class TimelineEvent(Answered):
    """One event of a task.

    for event in client.timeline(task.id).events:
        print(event.at, event.type, event.details)
    """

    type: str
    at: datetime
    service: str | None
    attempt: int | None
    redrive_no: int | None
    details: dict[str, Any]


class TaskEvent(Answered):
    """One event of a task, as it happens.

        for event in client.events(task.id):
            print(event.type, event.task_state)

    `task_state` is the state of the whole task when the event was sent.
    """

    #: By which `client.events(last_event_id=…)` goes on after it.
    id: str = ""
    task_id: str
    kind: str
    task_state: StateOrText
    type: str
    at: datetime
    service: str | None
    attempt: int | None
    redrive_no: int | None
    details: dict[str, Any]


class Timeline(Answered):
    """All events of a task, in order.

    assert client.timeline(task.id).events[0].type == "task.accepted"
    """

    task_id: str
    events: list[TimelineEvent]


class Cancellation(Answered):
    """What a cancellation can still achieve.

        if client.cancel(accepted.id).outcome == "prevented":
            print("it will not begin")

    `prevented`: no attempt will begin. `stopping`: the services are notified, and the task ends `cancelled`,
    or with its outcome if it can no longer be stopped.
    """

    id: str
    outcome: Literal["prevented", "stopping"]
    links: Links
