"""How long a sign of life may be overdue: the status service acts on it, the gateway's account goes by it."""

from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel, Field

from waybill_contracts.wire.states import State


@dataclass(frozen=True, slots=True)
class StallTimeouts:
    """How long after its due time a sign of life may be missing, for each state.

    Attributes:
        pending: from accept to the first start; also for scheduled ones after their time.
        running: the longest time of any handler, and the lease of a claim.
        retrying: beyond the time at which the next attempt is due.
    """

    pending: timedelta
    running: timedelta
    retrying: timedelta

    def of(self, state: State) -> timedelta:
        """That of a state without outcome."""
        return {State.RUNNING: self.running, State.RETRYING: self.retrying}.get(state, self.pending)


class StallTimeoutSettings(BaseModel):
    """The patience as settings, alike for every process that goes by it."""

    reconcile_pending_seconds: float = Field(
        60, gt=0, description="How long a subtask may be pending before its message is put back."
    )
    reconcile_running_seconds: float = Field(
        900,
        gt=0,
        description="How long an attempt may run before it is put back; more than the longest handler and "
        "the lease of its claim.",
    )
    reconcile_retrying_seconds: float = Field(
        60, gt=0, description="How long after its time the next attempt may be missing."
    )

    @property
    def patience(self) -> StallTimeouts:
        """The patience that they make."""
        return StallTimeouts(
            pending=timedelta(seconds=self.reconcile_pending_seconds),
            running=timedelta(seconds=self.reconcile_running_seconds),
            retrying=timedelta(seconds=self.reconcile_retrying_seconds),
        )
