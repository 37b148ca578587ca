"""What `GET /v1/stats` takes and answers. Its names are those of the metrics, without `waybill_`."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from waybill_contracts.states import State
from waybill_gateway.http import Text

#: A length of time that ends now.
Within = Literal["1h", "1d", "7d", "30d", "90d"]


class StatsQuery(BaseModel):
    """Which counts are wanted."""

    model_config = ConfigDict(extra="forbid")

    within: Within = Field("1h", description="A length of time that ends now.")
    kind: Text | None = Field(None, max_length=64, description="Only tasks of this kind.")
    service: Text | None = Field(
        None, max_length=64, description="Only what this service did: then no accepted tasks are counted."
    )


class Percentiles(BaseModel):
    """Seconds that half, 95 and 99 percent of those counted did not exceed, estimated from classes."""

    p50: float
    p95: float
    p99: float


class TaskStats(BaseModel):
    """Tasks that were accepted, and that got an outcome, in the time.

    A task that is redriven may get a second outcome. `pickup_seconds`: from when a task was due to when its
    first attempt began; `handler_seconds`: how long attempts ran; null: there were none.
    """

    accepted: int
    completed: int
    failed: int
    cancelled: int
    pickup_seconds: Percentiles | None
    handler_seconds: Percentiles | None


class ServiceStats(BaseModel):
    """Subtasks of a service that got an outcome in the time, and its attempts."""

    completed: int
    failed: int
    cancelled: int
    attempts: int
    retries: int
    snoozes: int
    pickup_seconds: Percentiles | None
    handler_seconds: Percentiles | None


class StepStats(BaseModel):
    """Tasks and attempts of one step of the time, by the time at which they happened."""

    at: datetime
    accepted: int
    completed: int
    failed: int
    cancelled: int
    attempts: int
    retries: int
    snoozes: int


class OpenStats(BaseModel):
    """Open subtasks of a service by state, and how long the one has waited that is pending longest."""

    subtasks: dict[State, int]
    put_back: Annotated[
        int, Field(description="Subtasks that were put back and have had no heartbeat since.")
    ]
    oldest_pending_seconds: float | None


class QueueStatsView(BaseModel):
    """A queue at the broker.

    `messages`: those that wait for a consumer; null to callers of one tenant of several.
    """

    messages: int | None
    consumers: int


class NowStats(BaseModel):
    """The last measurement of the status service.

    `queues` and what is in the outbox concern the whole installation: null to callers of one tenant of
    several. `queues` is null, too, while the broker is away.
    """

    measured_at: datetime
    services: dict[str, OpenStats]
    queues: dict[str, QueueStatsView] | None
    outbox_tasks: int | None
    outbox_lag_seconds: float | None
    accounting_gap: Annotated[
        int, Field(description="Tasks of the last day that cannot be placed: see `GET /v1/accounting`.")
    ]
    ledger_bytes: int | None


class FindingView(BaseModel):
    """Something that needs a person.

    `bad`: work is lost or fails until somebody acts; `warn`: work waits. `page` is the path of the page that
    helps.
    """

    weight: Literal["bad", "warn"]
    title: str
    words: str
    page: str


class StatsView(BaseModel):
    """The numbers of the overview.

    `seconds` is the length of the time that is counted: a number divided by it is a rate. `series` has a step
    for each `step_seconds`, the last of which is not over. `kinds` and `services` are those of which anything
    was counted. `now` is null if the status service has not measured yet.
    """

    since: datetime
    until: datetime
    seconds: float
    step_seconds: int
    total: TaskStats
    kinds: dict[str, TaskStats]
    services: dict[str, ServiceStats]
    series: list[StepStats]
    now: NowStats | None
    findings: list[FindingView]
