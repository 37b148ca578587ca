"""What came of one attempt. It is stored in the inbox, so that it can be told again after a crash."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter
from pydantic_core import PydanticSerializationError, to_json

from chassis.whereabouts import Whereabouts
from contracts.lifecycle import DeadReason, ErrorInfo


def as_json(result: dict[str, Any]) -> dict[str, Any]:
    """The result of a handler, which is stored and sent as JSON.

    Raises:
        TypeError: it holds something that JSON does not know; a defect of the handler.
    """
    try:
        to_json(result)
    except PydanticSerializationError as error:
        raise TypeError(f"the handler's result is no JSON: {error}") from error
    return result


class _Outcome(BaseModel):
    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    #: How long the handler ran, in seconds.
    seconds: float
    max_attempts: int


class Completed(_Outcome):
    """The effect has happened."""

    is_: Literal["completed"] = "completed"
    result: dict[str, Any]


class _Waiting(_Outcome):
    error: ErrorInfo
    #: The wait in whole seconds, as the delay ladder keeps it.
    wait_seconds: int
    next_attempt_at: AwareDatetime


class RetryLater(_Waiting):
    """A later attempt is due."""

    is_: Literal["retry"] = "retry"
    #: The effect may have happened all the same.
    in_doubt: bool = False


class Snoozed(_Waiting):
    """Put off: the same attempt is due again, and this time does not count."""

    is_: Literal["snoozed"] = "snoozed"


class Died(_Outcome):
    """No further attempt will be made."""

    is_: Literal["died"] = "died"
    error: ErrorInfo
    reason: DeadReason
    #: None where no handler ran.
    where: Whereabouts | None = None


class Cancelled(_Outcome):
    """Called off: no attempt will begin any more."""

    is_: Literal["cancelled"] = "cancelled"
    #: What is to be known of an attempt that had begun: its effect may have happened.
    error: ErrorInfo | None = None


def may_have_happened(how: str) -> ErrorInfo:
    """What a record says of an effect that nobody can know of.

    Args:
        how: what left that open.
    """
    return ErrorInfo(type="MayHaveHappened", message=f"{how}: whether it had its effect is not known.")


Outcome = Completed | RetryLater | Snoozed | Died | Cancelled
OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Annotated[Outcome, Field(discriminator="is_")])
