"""How long a heartbeat may be overdue: for the reconciler, and for the account of the gateway."""

from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel, Field

from waybill_contracts.states import State


@dataclass(frozen=True, slots=True)
class StallTimeouts:
    """How long a heartbeat may be overdue, for each state.

    Attributes:
        pending: from accept, or the due time of a scheduled task, to the first start.
        running: from the start of an attempt; longer than any handler and the lease of a claim.
        retrying: after the time at which the next attempt is due.
    """

    pending: timedelta
    running: timedelta
    retrying: timedelta

    def of(self, state: State) -> timedelta:
        """Timeout of a state without outcome."""
        return {State.RUNNING: self.running, State.RETRYING: self.retrying}.get(state, self.pending)


class StallTimeoutSettings(BaseModel):
    """The stall timeouts as settings, with the same names in every process."""

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
    def stall_timeouts(self) -> StallTimeouts:
        """The stall timeouts of these settings."""
        return StallTimeouts(
            pending=timedelta(seconds=self.reconcile_pending_seconds),
            running=timedelta(seconds=self.reconcile_running_seconds),
            retrying=timedelta(seconds=self.reconcile_retrying_seconds),
        )
