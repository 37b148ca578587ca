"""Faults of the crm, on demand."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: Longer than any caller waits for an answer.
MAX_DELAY_SECONDS = 600
#: More calls than any demo makes; a limit on input.
MAX_COUNT = 1_000_000
#: The status that Retry-After belongs to unless another is given (RFC 9110, section 10.2.3).
SERVICE_UNAVAILABLE = 503


class Fault(BaseModel):
    """The body of `POST /faults`.

    For the next `count` writes (for ever without), to the record `id` only where it is given: `status` is
    answered and nothing is written; the answer comes `delay` seconds late; `retry_after` (seconds) goes
    into its Retry-After header, with 503 unless `status` says otherwise. With `delay` alone the record is
    written at once and only the answer is late, so that a caller which gives up cannot know. Without any of
    the three, faults are cleared: those of `id`, or all of them.
    """

    model_config = ConfigDict(extra="forbid")

    status: int | None = Field(default=None, ge=300, le=599)
    count: int | None = Field(default=None, ge=1, le=MAX_COUNT)
    delay: float | None = Field(default=None, ge=0, le=MAX_DELAY_SECONDS)
    retry_after: int | None = Field(default=None, ge=0)
    id: str | None = None

    @property
    def clears(self) -> bool:
        """Whether it ends faults instead of beginning one."""
        return self.status is None and self.delay is None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.retry_after is not None and self.status is None:
            self.status = SERVICE_UNAVAILABLE
        if self.clears and self.count is not None:
            raise ValueError("count says how often status or delay happens: give one of them too")
        return self


class Faults:
    """Faults in force: at most one for each record and one for all others; each write counts one down."""

    def __init__(self) -> None:
        self._faults: dict[str | None, Fault] = {}

    def set(self, fault: Fault) -> None:
        """Replace the fault for the same records, or clear it."""
        if not fault.clears:
            self._faults[fault.id] = fault
        elif fault.id is None:
            self._faults.clear()
        else:
            self._faults.pop(fault.id, None)

    def take(self, record_id: str) -> Fault | None:
        """The fault that a write to `record_id` meets; counts it."""
        key = record_id if record_id in self._faults else None
        fault = self._faults.get(key)
        if fault is not None and fault.count is not None:
            if fault.count > 1:
                self._faults[key] = fault.model_copy(update={"count": fault.count - 1})
            else:
                del self._faults[key]
        return fault
