"""What the API takes and gives, beside the events themselves."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from waybill_contracts.kinds.fields import MAX_ADDRESS_LENGTH
from waybill_contracts.kinds.task_event import TaskEvent
from waybill_contracts.wire.states import State
from waybill_gateway.http.fields import Beginning, Moment, Number, Search, Text, Word
from waybill_gateway.http.paging import Paged
from waybill_ledger import HIGH_PRIORITY, LOW_PRIORITY

#: Farther ahead than anyone plans.
MAX_DELAY = timedelta(days=3660)
#: How much a caller's clock may be behind ours.
CLOCK_SKEW = timedelta(minutes=1)
#: How much a task is in a hurry, and what that is on the wire.
Priority = Literal["low", "normal", "high"]
AMQP_PRIORITIES: Final[Mapping[Priority, int | None]] = {
    "low": LOW_PRIORITY,
    "normal": None,
    "high": HIGH_PRIORITY,
}


def shown(*examples: dict[str, Any]) -> ConfigDict:
    """Examples for /docs; a body with unknown fields is refused."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(examples)})


#: Seconds of a delay.
Delay = Field(ge=0, le=MAX_DELAY.total_seconds())
SEND_AT: Final = "Not before this time (ISO 8601 with a zone)."
DELAY_SECONDS: Final = "Not before so many seconds from now."


class Timing(BaseModel):
    """When a task is to begin, and whether it may overtake. All optional."""

    model_config = ConfigDict(extra="forbid")

    send_at: Moment | None = Field(None, description=SEND_AT)
    delay_seconds: Annotated[Number, Delay] | None = Field(None, description=DELAY_SECONDS)
    priority: Priority = Field(
        "normal",
        description="low is for bulk work: it waits until nothing else is in its services' way. "
        "high overtakes normal work (on RabbitMQ 4 and later; from 4.3 on all of it goes first).",
    )

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if self.send_at is not None and self.delay_seconds is not None:
            raise ValueError("give send_at or delay_seconds, not both")
        if self.send_at is not None and self.send_at - datetime.now(UTC) > MAX_DELAY:
            raise ValueError("send_at is more than ten years ahead")
        return self

    def due_at(self, now: datetime) -> datetime | None:
        """When the task is to begin; None: at once."""
        due = now + timedelta(seconds=self.delay_seconds) if self.delay_seconds else self.send_at
        return due if due is not None and due > now else None

    def is_past(self, now: datetime) -> bool:
        """Whether `send_at` has passed: wrong in a new call, natural in one that is repeated."""
        return self.send_at is not None and now - self.send_at > CLOCK_SKEW

    @property
    def amqp_priority(self) -> int | None:
        """The message's priority on the wire."""
        return AMQP_PRIORITIES[self.priority]


class TaskQuery(Paged):
    """Which tasks are wanted."""

    id: Beginning | None = Field(None, description="The beginning of its id; hyphens do not matter.")
    state: State | None = None
    kind: Word | None = None
    service: Word | None = None
    schedule: UUID | None = Field(None, description="The id of the schedule that made it.")
    since: Moment | None = Field(None, description="Created at or after this time.")
    until: Moment | None = Field(None, description="Created before this time.")
    q: Search | None = Field(
        None,
        description="Part of what the task is about (a record, a file's name), or the beginning of its id or "
        "correlation id. A whole mail address finds the tasks of its person, too.",
    )
    person: Annotated[Text, Field(min_length=3, max_length=MAX_ADDRESS_LENGTH)] | None = Field(
        None, description="The mail address of the person whom the task is about; capitals do not matter."
    )


class AccountQuery(Paged):
    """Of which tasks the account is wanted, and which page of those that cannot be placed."""

    since: Moment | None = Field(None, description="Accepted at or after this time.")
    until: Moment | None = Field(None, description="Accepted before this time.")


class Links(BaseModel):
    """Where to look next."""

    self: str
    timeline: str


class AcceptedTask(BaseModel):
    """The answer to every accepted task."""

    id: str
    kind: str
    state: State
    links: Links


class CancelledTask(BaseModel):
    """What a cancellation could still do.

    `prevented`: no attempt will begin. `stopping`: the services are told, and the task ends `cancelled`, or
    with what it was past stopping.
    """

    id: str
    outcome: Literal["prevented", "stopping"]
    links: Links


class SubtaskView(BaseModel):
    """One service's part of a task."""

    service: str
    state: State
    attempt: int
    max_attempts: int | None
    next_attempt_at: datetime | None
    redrive_no: int
    updated_at: datetime
    result: dict[str, Any] | None
    error: dict[str, Any] | None


class SlotView(BaseModel):
    """Which schedule made a task, and for which of its times."""

    id: str
    slot: datetime


class TaskView(BaseModel):
    """A task, and where each of its subtasks is."""

    id: str
    kind: str
    state: State
    created_at: datetime
    due_at: datetime | None
    completed_at: datetime | None
    correlation_id: str
    trace_id: Annotated[
        str | None, Field(description="Of its trace, and on each line of log about it (W3C Trace Context).")
    ]
    about: str
    priority: Priority
    schedule: SlotView | None
    erased_at: Annotated[
        datetime | None, Field(description="When what it says of its person was erased; null: it was not.")
    ]
    subtasks: list[SubtaskView]
    links: Links


class TaskPage(BaseModel):
    """Some tasks, newest first; `next_cursor` is null on the last page."""

    items: list[TaskView]
    next_cursor: str | None


class Counts(BaseModel):
    """How many tasks were accepted, and how many of them are in each state now.

    `pruned`: how many of them are no longer kept; they count with the outcome that they had, by the day (UTC)
    of their acceptance, and a day counts where it begins.
    """

    accepted: int
    scheduled: int
    pending: int
    running: int
    retrying: int
    completed: int
    failed: int
    cancelled: int
    pruned: int


class UnplacedTask(BaseModel):
    """A task that cannot be placed, and why."""

    id: str
    kind: str
    state: str
    created_at: datetime
    reasons: list[str]
    links: Links


class UnplacedPage(BaseModel):
    """How many tasks cannot be placed, and a page of them; `next_cursor` is null on the last one."""

    count: int
    items: list[UnplacedTask]
    next_cursor: str | None


class AccountView(BaseModel):
    """What became of every task that was accepted in a time range.

    `balanced`: the states add up to what was accepted, in each kind, and no task is unplaced.
    """

    since: datetime | None
    until: datetime | None
    balanced: bool
    total: Counts
    kinds: dict[str, Counts]
    unplaced: UnplacedPage


class TimelineEventView(BaseModel):
    """One thing that happened to a task."""

    type: str
    at: datetime
    service: str | None
    attempt: int | None
    redrive_no: int | None
    details: dict[str, Any]


class TimelineView(BaseModel):
    """Everything that happened to a task, in order."""

    task_id: str
    events: list[TimelineEventView]


def priority_name(amqp_priority: int | None) -> Priority:
    """What a priority on the wire is called here."""
    return next((name for name, number in AMQP_PRIORITIES.items() if number == amqp_priority), "normal")


def links_of(task_id: str) -> Links:
    """The links of a task."""
    return Links(self=f"/v1/tasks/{task_id}", timeline=f"/v1/tasks/{task_id}/timeline")


def event_of(event: type[TaskEvent], posted: TaskEvent) -> TaskEvent:
    """The event within a posted model, without the timing; its fields are validated already."""
    return event.model_construct(**{name: getattr(posted, name) for name in event.model_fields})
