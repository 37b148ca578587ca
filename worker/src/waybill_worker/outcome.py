"""Outcomes of attempts. The inbox stores them, so that they can be reported again after a crash."""

from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter
from pydantic_core import from_json, to_json

from waybill_contracts.wire import DeadReason, ErrorInfo, SpawnedTask
from waybill_worker.failure_location import FailureLocation
from waybill_worker.observe import get_logger

log = get_logger(__name__)

#: Bytes of a handler's result as JSON: a report with many of them stays far below the 16 MiB that RabbitMQ
#: takes. A larger result is a file, and belongs in the object store.
MAX_RESULT_BYTES: Final = 32 * 1024
#: Levels of JSON around a result, in inbox and lifecycle events: it must be readable inside them too.
_LEVELS_AROUND: Final = 8


def result_of(returned: object) -> dict[str, Any]:
    """The result of a handler as it is stored and sent: plain JSON, or a note instead of it.

    It never fails. The effect has happened, so the attempt is completed whatever the handler returned;
    another attempt would repeat the effect.
    """
    if returned is None:
        return {}
    try:
        text = to_json(returned, inf_nan_mode="null")
        around = b"[" * _LEVELS_AROUND, b"]" * _LEVELS_AROUND
        from_json(text.join(around))
        result = from_json(text)
    except (ValueError, RecursionError) as error:  # also types that pydantic cannot serialise
        return _omitted(f"it is not JSON ({type(error).__name__}: {error!s:.200})")
    if not isinstance(result, dict):
        return _omitted(f"it is not a JSON object, but of type {type(returned).__name__}")
    if len(text) > MAX_RESULT_BYTES:
        return _omitted(f"it has {len(text):,} bytes as JSON, and at most {MAX_RESULT_BYTES:,} are kept")
    return result


def _omitted(why: str) -> dict[str, Any]:
    log.error("the handler's result was left out; its work is done and recorded as completed", error=why)
    return {"omitted": f"The work is done. Its result was left out: {why}."}


class _Outcome(BaseModel):
    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    #: How long the handler ran, in seconds.
    seconds: float
    max_attempts: int
    #: The attempt may have stored files.
    has_files: bool = False


class Completed(_Outcome):
    """The effect has happened."""

    is_: Literal["completed"] = "completed"
    result: dict[str, Any]
    #: The tasks that its handler has submitted, to be accepted with this outcome; None: none.
    spawned: tuple[SpawnedTask, ...] | None = None


class _Postponed(_Outcome):
    error: ErrorInfo
    #: The wait in whole seconds, as the delay ladder keeps it.
    wait_seconds: int
    next_attempt_at: AwareDatetime


class RetryLater(_Postponed):
    """A later attempt is due."""

    is_: Literal["retry"] = "retry"
    #: The effect may have happened.
    in_doubt: bool = False


class Snoozed(_Postponed):
    """Snoozed: the attempt is due again, and this run does not count."""

    is_: Literal["snoozed"] = "snoozed"


class Died(_Outcome):
    """No further attempt will be made."""

    is_: Literal["died"] = "died"
    error: ErrorInfo
    reason: DeadReason
    #: None where no handler ran.
    where: FailureLocation | None = None


class Cancelled(_Outcome):
    """Cancelled: no further attempt will begin."""

    is_: Literal["cancelled"] = "cancelled"
    #: Set if an attempt had begun: its effect may have happened.
    error: ErrorInfo | None = None


def may_have_happened(how: str) -> ErrorInfo:
    """The error of a record whose effect may have happened.

    Args:
        how: the reason why that is not known.
    """
    return ErrorInfo(type="MayHaveHappened", message=f"{how}: whether it had its effect is not known.")


Outcome = Completed | RetryLater | Snoozed | Died | Cancelled
OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Annotated[Outcome, Field(discriminator="is_")])
