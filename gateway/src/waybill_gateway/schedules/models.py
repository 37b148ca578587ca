"""Requests and answers about schedules."""

from datetime import datetime
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from waybill_contracts.states import State
from waybill_gateway.http import Beginning, Moment, Paged, Text, Truth, Whole, Word
from waybill_gateway.tasks import Links, Priority
from waybill_ledger import BadRecurrenceError, Missed, check_cron, zone_of

#: Bytes of a body: it is stored once, and read for each task of the schedule.
MAX_BODY_BYTES: Final = 64 * 1024
#: Seconds between two slots: from a minute, as with cron, to a year.
MIN_INTERVAL, MAX_INTERVAL = 60, 366 * 24 * 3600
#: Missed slots that `run_all` may run at once.
MAX_MISSED: Final = 100
#: Next slots and last tasks that are shown.
SHOWN_AHEAD, SHOWN_BEHIND = 5, 5


def _cron(value: str) -> str:
    try:
        check_cron(value)
    except BadRecurrenceError as error:
        raise ValueError(f"no cron expression: {error}") from None
    return value


def _zone(value: str) -> str:
    try:
        zone_of(value)
    except BadRecurrenceError as error:
        raise ValueError(str(error)) from None
    return value


ScheduleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Cron = Annotated[Text, Field(max_length=100), AfterValidator(_cron)]


class Recurring(BaseModel):
    """When a schedule is due, and how missed slots are handled."""

    model_config = ConfigDict(extra="forbid")

    cron: Cron | None = Field(
        None,
        description="Minute, hour, day of the month, month, day of the week; or @hourly, @daily, @weekly, "
        "@monthly, @yearly. Either this or `every_seconds`.",
    )
    every_seconds: Annotated[Whole, Field(ge=MIN_INTERVAL, le=MAX_INTERVAL)] | None = Field(
        None, description="Seconds from one slot to the next, counted from `starts_at` or from now."
    )
    timezone: Annotated[Text, Field(max_length=64), AfterValidator(_zone)] = Field(
        "UTC", description="IANA name of the time zone of `cron`."
    )
    starts_at: Moment | None = Field(None, description="No slot is earlier.")
    ends_at: Moment | None = Field(None, description="No slot is later.")
    missed: Missed = Field(
        Missed.RUN_ONCE,
        description="For slots that passed while nothing could release them: `skip` leaves out slots that "
        "are more than a minute late, `run_once` runs the newest one, `run_all` the newest `missed_limit`.",
    )
    missed_limit: Annotated[Whole, Field(ge=1, le=MAX_MISSED)] = 10

    @model_validator(mode="after")
    def _one_recurrence(self) -> Self:
        if (self.cron is None) == (self.every_seconds is None):
            raise ValueError("give either cron or every_seconds")
        if self.starts_at is not None and self.ends_at is not None and self.ends_at < self.starts_at:
            raise ValueError("ends_at is before starts_at")
        return self


class Steering(Recurring):
    """A schedule without the content of its tasks."""

    priority: Priority = "normal"
    paused: Truth = Field(
        default=False, description="A paused schedule makes no tasks, and no slot counts as missed."
    )


class PostSchedule(Steering):
    """A task to be made again and again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "weekly-report",
                    "kind": "email.requested",
                    "body": {"to": "team@example.com", "subject": "The week", "text": "Here it is."},
                    "cron": "0 8 * * MON",
                    "timezone": "Europe/Berlin",
                },
                {
                    "name": "heartbeat",
                    "kind": "sync.requested",
                    "body": {"target": "crm", "resource": "beats", "id": "waybill", "data": {"alive": True}},
                    "every_seconds": 3600,
                    "missed": "skip",
                },
            ]
        },
    )

    name: ScheduleName = Field(description="A unique name; the correlation_id of its tasks.")
    kind: Word = Field(description="A registered kind: GET /v1/kinds lists them.")
    body: dict[str, Any] = Field(
        description="The data of its tasks, as the contract of the kind describes it."
    )


class ChangeSchedule(BaseModel):
    """The changes of a schedule.

    Absent fields do not change, and null resets a field to its default. `cron` replaces `every_seconds`, and
    vice versa; `body` is replaced as a whole. Name and kind do not change.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"paused": True}, {"cron": "30 7 * * *", "timezone": "Europe/Paris"}]
        },
    )

    body: dict[str, Any] | None = None
    cron: Text | None = None
    every_seconds: Whole | None = None
    timezone: Text | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    missed: Missed | None = None
    missed_limit: Whole | None = None
    priority: Priority | None = None
    paused: Truth | None = None


class ScheduleQuery(Paged):
    """Filters of the list of schedules."""

    id: Beginning | None = Field(None, description="The first characters of its id; hyphens do not matter.")
    name: Annotated[Text, Field(max_length=100)] | None = Field(None, description="Its exact name.")


class ScheduleLinks(BaseModel):
    """Links."""

    self: str
    tasks: str


class ScheduleView(BaseModel):
    """A schedule, and its next slots."""

    id: str
    name: str
    kind: str
    body: dict[str, Any]
    cron: str | None
    every_seconds: int | None
    timezone: str
    starts_at: datetime | None
    ends_at: datetime | None
    missed: Missed
    missed_limit: int
    priority: Priority
    paused: bool
    created_at: datetime
    updated_at: datetime
    next: list[datetime] = Field(
        description="The next slots, in the schedule's time zone; none while paused."
    )
    last_slot_at: datetime | None = Field(description="The last slot with a task.")
    error: str | None = Field(description="Why Waybill paused it: it cannot make tasks any more.")
    links: ScheduleLinks


class SlotTaskView(BaseModel):
    """A task that a schedule made."""

    id: str
    state: State
    slot: datetime
    links: Links


class ScheduleDetails(ScheduleView):
    """A schedule with its last tasks."""

    last_tasks: list[SlotTaskView]


class SchedulePageView(BaseModel):
    """A page of schedules, newest first; `next_cursor` is null on the last page."""

    items: list[ScheduleView]
    next_cursor: str | None
