"""Requests and answers about tasks."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from waybill_contracts.events import Event
from waybill_contracts.kinds import MAX_ADDRESS_LENGTH
from waybill_contracts.states import State
from waybill_contracts.wire import MAX_DELAY
from waybill_gateway.http import MAX_INTEGER, Beginning, Moment, Number, Paged, Search, Text, Whole, Word
from waybill_ledger import HIGH_PRIORITY, LOW_PRIORITY

#: Most tasks that are submitted together.
MAX_BULK = 1000
#: A name that a caller gives a request or a task: it appears in logs and headers.
REQUEST_ID: Final = r"^[\x21-\x7e]{1,128}$"
#: Characters of a traceparent: of this version 55, of a later one perhaps more.
MAX_TRACEPARENT: Final = 512
#: By how much the clock of a caller may be slow.
CLOCK_SKEW = timedelta(minutes=1)
#: The priority of a task, and its AMQP priority.
Priority = Literal["low", "normal", "high"]
AMQP_PRIORITIES: Final[Mapping[Priority, int | None]] = {
    "low": LOW_PRIORITY,
    "normal": None,
    "high": HIGH_PRIORITY,
}


def shown(*examples: dict[str, Any]) -> ConfigDict:
    """The configuration of a model with examples for /docs, which refuses unknown fields."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(examples)})


#: Seconds of a delay.
Delay = Field(ge=0, le=MAX_DELAY.total_seconds())
SEND_AT: Final = "Not before this time (ISO 8601 with a zone)."
DELAY_SECONDS: Final = "Not before so many seconds from now."


class Timing(BaseModel):
    """The start and priority of a task. All optional."""

    model_config = ConfigDict(extra="forbid")

    send_at: Moment | None = Field(None, description=SEND_AT)
    delay_seconds: Annotated[Number, Delay] | None = Field(None, description=DELAY_SECONDS)
    priority: Priority = Field(
        "normal",
        description="low is for bulk work: it waits until its services have no other work. high overtakes "
        "normal work (on RabbitMQ 4 and later; completely from 4.3 on).",
    )

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if self.send_at is not None and self.delay_seconds is not None:
            raise ValueError("give send_at or delay_seconds, not both")
        if self.send_at is not None and self.send_at - datetime.now(UTC) > MAX_DELAY:
            raise ValueError("send_at is more than ten years ahead")
        return self

    def due_at(self, now: datetime) -> datetime | None:
        """The start of the task; None: at once."""
        due = now + timedelta(seconds=self.delay_seconds) if self.delay_seconds else self.send_at
        return due if due is not None and due > now else None

    def is_past(self, now: datetime) -> bool:
        """Whether `send_at` has passed: an error in a new call, but normal in a repeated one."""
        return self.send_at is not None and now - self.send_at > CLOCK_SKEW

    @property
    def amqp_priority(self) -> int | None:
        """The message's priority on the wire."""
        return AMQP_PRIORITIES[self.priority]


_TIMING: Final = set(Timing.model_fields)


class PostTask(Timing):
    """A task of any registered kind."""

    model_config = shown(
        {"kind": "sync.requested", "data": {"target": "crm", "resource": "contacts", "id": "7", "data": {}}},
        {
            "kind": "email.requested",
            "data": {"to": "ada@example.com", "subject": "Your order", "text": "It is on its way."},
            "delay_seconds": 60,
        },
    )

    kind: Word = Field(description="A registered kind: `GET /v1/kinds` lists them.")
    version: Annotated[Whole, Field(ge=1)] | None = Field(
        None, description="Version of the contract that the data follows; the newest by default."
    )
    data: dict[str, Any] = Field(description="By the contract of the kind: `GET /v1/kinds/{kind}` has it.")


class BulkTask(PostTask):
    """A task of several that are submitted together."""

    idempotency_key: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")] | None = Field(
        None,
        description="As the header Idempotency-Key of `POST /v1/tasks`: the task is accepted once, together "
        "with others or alone.",
    )
    request_id: Annotated[str, StringConstraints(pattern=REQUEST_ID)] | None = Field(
        None,
        description="As the header X-Request-Id of `POST /v1/tasks`: your name for the task, which "
        "becomes its correlation id; by default that of the call.",
    )
    traceparent: Annotated[Text, Field(max_length=MAX_TRACEPARENT)] | None = Field(
        None,
        description="As the header traceparent of `POST /v1/tasks`: the trace that the task becomes part of "
        "(W3C Trace Context); by default that of the call.",
    )

    @property
    def own_headers(self) -> dict[str, str]:
        """The headers that name it, if it were posted alone."""
        named = {"x-request-id": self.request_id, "traceparent": self.traceparent}
        return {name: value for name, value in named.items() if value is not None}


class PostTasks(BaseModel):
    """Tasks that are accepted together, or not at all."""

    model_config = shown(
        {
            "tasks": [
                {
                    "kind": "sync.requested",
                    "data": {"target": "crm", "resource": "contacts", "id": "7", "data": {"vip": True}},
                    "idempotency_key": "contact-7",
                }
            ]
        }
    )

    tasks: Annotated[list[BulkTask], Field(min_length=1, max_length=MAX_BULK)]


class TaskQuery(Paged):
    """Filters of the list of tasks."""

    id: Beginning | None = Field(None, description="The first characters of its id; hyphens do not matter.")
    state: State | None = None
    kind: Word | None = None
    service: Word | None = None
    schedule: UUID | None = Field(None, description="The id of the schedule that made it.")
    parent: UUID | None = Field(None, description="The id of the task that spawned it.")
    since: Moment | None = Field(None, description="Created at or after this time.")
    until: Moment | None = Field(None, description="Created before this time.")
    q: Search | None = Field(
        None,
        description="Part of the subject of the task (a record, a file name), or the first characters of "
        "its id or correlation id. A whole mail address also finds the tasks of its person.",
    )
    person: Annotated[Text, Field(min_length=3, max_length=MAX_ADDRESS_LENGTH)] | None = Field(
        None, description="The mail address of the person of the task; upper and lower case do not matter."
    )
    newest: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None = Field(
        None, description="Only among so many of the newest tasks, which limits how long a search lasts."
    )


class AccountQuery(Paged):
    """The tasks of the account, and the page of those that cannot be placed."""

    since: Moment | None = Field(None, description="Accepted at or after this time.")
    until: Moment | None = Field(None, description="Accepted before this time.")


class Links(BaseModel):
    """Links."""

    self: str
    timeline: str
    watch: Annotated[
        str | None,
        Field(
            description="Shows the state of this task to a browser without a key, for a time; null: the "
            "answer is about several tasks, or no links are made."
        ),
    ] = None


class AcceptedTask(BaseModel):
    """An accepted task."""

    id: str
    kind: str
    state: State
    links: Links


class AcceptedTasks(BaseModel):
    """The accepted tasks, in the order in which they were submitted."""

    tasks: list[AcceptedTask]


class CancelledTask(BaseModel):
    """The result of a cancellation.

    `prevented`: no attempt will begin. `stopping`: the services are notified, and the task ends `cancelled`,
    or
    with its outcome if it can no longer be stopped.
    """

    id: str
    outcome: Literal["prevented", "stopping"]
    links: Links


class ProgressView(BaseModel):
    """How far an attempt is, as its handler reported last."""

    share: Annotated[float | None, Field(description="From 0 to 1; null: unknown.")]
    text: str
    at: datetime


class SubtaskView(BaseModel):
    """The part of a task that one service does."""

    service: str
    state: State
    attempt: int
    max_attempts: int | None
    next_attempt_at: datetime | None
    redrive_no: int
    updated_at: datetime
    progress: Annotated[
        ProgressView | None, Field(description="Of the attempt that runs; null: none runs, or reported any.")
    ]
    result: dict[str, Any] | None
    error: dict[str, Any] | None


class SlotView(BaseModel):
    """The schedule and slot of a task."""

    id: str
    slot: datetime


class ParentView(BaseModel):
    """The task that spawned a task, and the service whose handler did; the task may have been pruned."""

    id: str
    service: str


class TaskView(BaseModel):
    """A task with its subtasks."""

    id: str
    kind: str
    state: State
    created_at: datetime
    due_at: datetime | None
    completed_at: datetime | None
    correlation_id: str
    trace_id: Annotated[
        str | None, Field(description="Id of its trace, also in each log line about it (W3C Trace Context).")
    ]
    about: str
    priority: Priority
    schedule: SlotView | None
    parent: ParentView | None
    children: Annotated[
        int, Field(description="Tasks that it has spawned: `GET /v1/tasks?parent=ID` lists them.")
    ]
    erased_at: Annotated[
        datetime | None, Field(description="When its personal data was erased; null: not erased.")
    ]
    subtasks: list[SubtaskView]
    links: Links


class TaskPage(BaseModel):
    """A page of tasks, newest first; `next_cursor` is null on the last page."""

    items: list[TaskView]
    next_cursor: str | None


class Counts(BaseModel):
    """Numbers of accepted tasks, and of those in each state now.

    `pruned`: number of tasks that are no longer stored; they count with their outcome, by the day (UTC) of
    their
    acceptance, and a day counts for the range in which it begins.
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
    """Number of unplaced tasks, and a page of them; `next_cursor` is null on the last page."""

    count: int
    items: list[UnplacedTask]
    next_cursor: str | None


class AccountView(BaseModel):
    """The account of all tasks that were accepted in a time range.

    `balanced`: in each kind the states add up to the accepted tasks, and no task is unplaced.
    """

    since: datetime | None
    until: datetime | None
    balanced: bool
    total: Counts
    kinds: dict[str, Counts]
    unplaced: UnplacedPage


class TimelineEventView(BaseModel):
    """One event of a task."""

    type: str
    at: datetime
    service: str | None
    attempt: int | None
    redrive_no: int | None
    details: dict[str, Any]


class TimelineView(BaseModel):
    """All events of a task, in order."""

    task_id: str
    events: list[TimelineEventView]


def priority_name(amqp_priority: int | None) -> Priority:
    """The name of an AMQP priority."""
    return next((name for name, number in AMQP_PRIORITIES.items() if number == amqp_priority), "normal")


def links_of(task_id: str) -> Links:
    """The links of a task."""
    return Links(self=f"/v1/tasks/{task_id}", timeline=f"/v1/tasks/{task_id}/timeline")


def data_of(posted: Event) -> dict[str, Any]:
    """The data of the event in a posted model, without the timing: see `Event.event_data`."""
    return posted.model_dump(mode="json", exclude_defaults=True, exclude=_TIMING)
