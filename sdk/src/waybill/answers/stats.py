"""The numbers of the overview, as the gateway answers them; they have the names of the metrics."""

from datetime import datetime

from waybill.answers.base import Answered, StateOrText


class Percentiles(Answered):
    """Seconds that half, 95 and 99 percent did not exceed, estimated from classes."""

    p50: float
    p95: float
    p99: float


class TaskStats(Answered):
    """Tasks that were accepted, and that got an outcome, in the time."""

    accepted: int
    completed: int
    failed: int
    cancelled: int
    #: From when a task was due to when its first attempt began; None: none began.
    pickup_seconds: Percentiles | None
    #: How long attempts ran; None: none ended.
    handler_seconds: Percentiles | None


class ServiceStats(Answered):
    """Subtasks of a service that got an outcome in the time, and its attempts."""

    completed: int
    failed: int
    cancelled: int
    attempts: int
    retries: int
    snoozes: int
    pickup_seconds: Percentiles | None
    handler_seconds: Percentiles | None


class StepStats(Answered):
    """Tasks and attempts of one step of the time."""

    #: Its beginning.
    at: datetime
    accepted: int
    completed: int
    failed: int
    cancelled: int
    attempts: int
    retries: int
    snoozes: int


class OpenStats(Answered):
    """Open subtasks of a service."""

    subtasks: dict[StateOrText, int]
    #: Subtasks that were put back and have had no heartbeat since.
    put_back: int
    #: Of the one that is pending longest; None: none is.
    oldest_pending_seconds: float | None


class QueueStats(Answered):
    """A queue at the broker."""

    #: Messages that wait for a consumer; None: not for a caller of one tenant of several.
    messages: int | None
    consumers: int


class NowStats(Answered):
    """The last measurement of the status service; None: not for a caller of one tenant of several."""

    measured_at: datetime
    services: dict[str, OpenStats]
    #: None, too, while the broker is away.
    queues: dict[str, QueueStats] | None
    outbox_tasks: int | None
    outbox_lag_seconds: float | None
    #: Tasks of the last day that cannot be placed.
    accounting_gap: int
    ledger_bytes: int | None


class Finding(Answered):
    """Something that needs a person."""

    #: `bad`: work is lost or fails until somebody acts; `warn`: work waits.
    weight: str
    title: str
    words: str
    #: Path of the page that helps.
    page: str


class Stats(Answered):
    """What happened in a time, what is open now, and what needs a person."""

    since: datetime
    until: datetime
    #: Length of the time: a number divided by it is a rate.
    seconds: float
    step_seconds: int
    total: TaskStats
    kinds: dict[str, TaskStats]
    services: dict[str, ServiceStats]
    #: One after another; the last step is not over.
    series: list[StepStats]
    #: None: nothing was measured yet.
    now: NowStats | None
    findings: list[Finding]
