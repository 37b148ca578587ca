"""Lifecycle events: what a service reports about its subtasks, many in one message.

They are sent as a CloudEvents JSON batch. The id of an event is made from its subtask, attempt and type (that
of progress also from its time): a fact reported twice has one id, and applying it twice changes nothing.
"""

from datetime import datetime
from enum import StrEnum
from math import isnan
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from waybill_contracts.privacy import NO_MASK, Mask
from waybill_contracts.wire.names import source_of
from waybill_contracts.wire.spawned import MAX_SPAWNED, SpawnedTask
from waybill_contracts.wire.text_fields import Name

#: Error messages are for people; a longer one belongs into a log file.
MAX_ERROR_MESSAGE_LENGTH = 2000
#: Progress texts are a line on a screen.
MAX_PROGRESS_LENGTH = 200

#: Attempts and redrives of one task: far above any policy, and small enough to fit into a position.
MAX_COUNT = 1_000_000
#: Snoozes of one attempt: they have twelve bits of a position.
MAX_SNOOZES = 4095
#: The length of service names that the ledger has room for.
MAX_SERVICE_LENGTH = 64
#: The length in W3C Trace Context.
MAX_TRACEPARENT_LENGTH = 55
#: The longest header.
MAX_KIND_LENGTH = 255


class LifecycleType(StrEnum):
    """What happened to a subtask; also the routing key on the events exchange."""

    STARTED = "task.started"
    #: How far the attempt is that runs; only the latest counts.
    PROGRESS = "task.progress"
    RETRYING = "task.retrying"
    #: Postponed without being counted: the same attempt follows.
    SNOOZED = "task.snoozed"
    COMPLETED = "task.completed"
    DEAD = "task.dead"
    CANCELLED = "task.cancelled"

    #: As of `State`.
    __hash__ = str.__hash__


class DeadReason(StrEnum):
    """Why there is no further attempt."""

    PERMANENT = "permanent"
    EXHAUSTED = "exhausted"
    DEADLINE = "deadline"
    UNREADABLE = "unreadable"
    #: Its process died at each run.
    CRASHED = "crashed"
    #: The effect may have happened, a repeat could double it, and the event asks for no repeat.
    UNCERTAIN = "uncertain"
    #: The broker gave it up: it was returned too often, or its consumer could not start with it.
    DELIVERY_LIMIT = "delivery_limit"
    REJECTED = "rejected"


class ErrorInfo(BaseModel):
    """What went wrong, as shown to callers and operators."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Annotated[str, Field(max_length=200)]
    message: Annotated[str, Field(max_length=MAX_ERROR_MESSAGE_LENGTH)]

    @classmethod
    def of(cls, error: BaseException, mask: Mask = NO_MASK) -> Self:
        """Describes an exception within the limits; masked values and mail addresses are hidden."""
        text = _storable(mask.error(_text_of(error))) or type(error).__name__
        return cls(type=_storable(type(error).__name__)[:200], message=text[:MAX_ERROR_MESSAGE_LENGTH])

    def __str__(self) -> str:
        """Type and message for a log line; many messages mean nothing without their type."""
        return self.type if self.message == self.type else f"{self.type}: {self.message}"


class ProgressInfo(BaseModel):
    """How far an attempt is, as its handler says."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    #: Share of the work that is done, from 0 to 1; None: unknown.
    share: Annotated[float, Field(ge=0, le=1)] | None = None
    text: Annotated[str, Field(max_length=MAX_PROGRESS_LENGTH)] = ""

    @classmethod
    def of(cls, share: float | None, text: str, mask: Mask = NO_MASK) -> Self:
        """Progress within the limits, whatever a handler says, without masked values and mail addresses."""
        within = None if share is None or isnan(share) else min(max(float(share), 0.0), 1.0)
        # Cut before it is masked, because that takes time by the length; the mask knows values that were cut.
        beginning = text[: 2 * MAX_PROGRESS_LENGTH]
        return cls(share=within, text=_storable(mask.error(beginning))[:MAX_PROGRESS_LENGTH])


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as fault:  # noqa: BLE001 - the failure must be recorded in any case
        return f"{type(error).__name__}; reading its text failed with {type(fault).__name__}"


def _storable(text: str) -> str:
    # JSON has no lone surrogates, which file names can contain; text in PostgreSQL has no NUL.
    return text.encode(errors="backslashreplace").decode().replace("\x00", "\\x00")


class LifecycleData(BaseModel):
    """The subtask, the attempt, and its result or error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    task_id: Annotated[Name, Field(max_length=64)]
    service: Annotated[Name, Field(max_length=MAX_SERVICE_LENGTH)]
    kind: Annotated[Name, Field(max_length=MAX_KIND_LENGTH)]
    redrive_no: Annotated[int, Field(ge=0, le=MAX_COUNT)]
    attempt: Annotated[int, Field(ge=1, le=MAX_COUNT)]
    #: How often this attempt was snoozed before.
    snooze_no: Annotated[int, Field(ge=0, le=MAX_SNOOZES)] = 0
    max_attempts: Annotated[int, Field(ge=1, le=MAX_COUNT)]
    #: Seconds that the handler ran; absent if none ran.
    seconds: float | None = None
    result: dict[str, Any] | None = None
    error: ErrorInfo | None = None
    reason: DeadReason | None = None
    next_attempt_at: AwareDatetime | None = None
    progress: ProgressInfo | None = None
    #: Tasks to accept in the transaction that applies this outcome.
    spawned: Annotated[tuple[SpawnedTask, ...], Field(max_length=MAX_SPAWNED)] | None = None
    #: The attempt may have stored files, which are to be removed with the task; absent: it has not.
    has_files: bool | None = None


class LifecycleEvent(BaseModel):
    """One CloudEvent about one attempt of one subtask."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: LifecycleType
    time: AwareDatetime
    datacontenttype: Literal["application/json"] = "application/json"
    #: Of the attempt, if its trace is recorded (CloudEvents extension "Distributed Tracing").
    traceparent: Annotated[str, Field(max_length=MAX_TRACEPARENT_LENGTH)] | None = None
    data: LifecycleData

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> Self:
        waits = self.type in {LifecycleType.RETRYING, LifecycleType.SNOOZED}
        if waits and (not self.data.error or not self.data.next_attempt_at):
            raise ValueError(f"{self.type} needs an error and the time of the next attempt")
        if self.type is LifecycleType.DEAD and (not self.data.error or not self.data.reason):
            raise ValueError("task.dead needs an error and a reason")
        if self.type is LifecycleType.PROGRESS and not self.data.progress:
            raise ValueError("task.progress needs progress")
        return self


def lifecycle_event(type_: LifecycleType, time: datetime, data: LifecycleData) -> LifecycleEvent:
    """Makes the event for `data`; each report of one fact has the same id."""
    # An attempt that was never snoozed is named without the zero.
    attempt = f"{data.attempt}.{data.snooze_no}" if data.snooze_no else f"{data.attempt}"
    about = f"{data.task_id}/{data.service}/{data.redrive_no}/{attempt}/{type_.value}"
    if type_ is LifecycleType.PROGRESS:
        about = f"{about}/{time.isoformat()}"
    return LifecycleEvent(id=about, source=source_of(data.service), type=type_, time=time, data=data)


#: Its errors are logged, so they say where the input is invalid, but do not quote it.
LIFECYCLE_BATCH = TypeAdapter(list[LifecycleEvent], config=ConfigDict(hide_input_in_errors=True))
