"""What a service may do with a message, given what its inbox remembers. Pure decisions, no database.

The inbox holds one row for each subtask and redrive: the latest attempt, and either who holds its lease or
what came of it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chassis.outcome import Outcome, RetryLater


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """A wish to run one attempt."""

    task_id: str
    redrive_no: int
    attempt: int
    #: A name that no other claim has; whoever records an outcome must still hold it (a fencing token).
    owner: str
    now: datetime
    lease_until: datetime


class RowState(StrEnum):
    """Where the latest attempt is."""

    CLAIMED = "claimed"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class InboxRow:
    """What the inbox remembers of a subtask."""

    attempt: int
    state: RowState
    owner: str
    lease_until: datetime
    outcome: Outcome | None
    #: How many runs of the attempt have begun.
    starts: int = 1
    #: The run that holds the claim has begun an effect that no repeat can be told apart from.
    effect_begun: bool = False
    #: An earlier run or attempt may have had such an effect.
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """Run it; nobody else will while the lease is renewed."""

    owner: str
    #: The task was called off: record that instead of running it.
    called_off: bool = False
    #: An earlier run of this attempt was cut off: its process died of it, or under it.
    begun_before: bool = False
    #: An earlier run or attempt may have had an effect that no repeat can be told apart from.
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class AlreadyDone:
    """This very attempt has been run: tell again what came of it, for the process may have died before."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Superseded:
    """A later attempt or an outcome exists: this copy has no meaning any more.

    Whoever sent it may not know what exists, so that is told again.
    """

    #: The attempt that exists, and what came of it; None: it has been claimed and is not done.
    attempt: int
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class Busy:
    """Another copy is being run, or its runner died: look again when its lease has run out."""

    until: datetime


Ticket = Claimed | AlreadyDone | Superseded | Busy


def decide(row: InboxRow, request: ClaimRequest) -> Ticket:
    """Whether `request` may run where a row exists; `Claimed` means that the row is to be taken over."""
    in_doubt = row.in_doubt or row.effect_begun
    if request.attempt < row.attempt:
        return Superseded(row.attempt, row.outcome)
    if row.state is RowState.CLAIMED:
        if row.lease_until > request.now:
            return Busy(row.lease_until)
        return Claimed(request.owner, begun_before=row.attempt == request.attempt, in_doubt=in_doubt)
    if row.outcome is None:
        raise ValueError("an attempt that is done has an outcome")
    if request.attempt == row.attempt:
        return AlreadyDone(row.outcome)
    # A later attempt: it follows a retry, but not an outcome that ended the subtask.
    if isinstance(row.outcome, RetryLater):
        return Claimed(request.owner, in_doubt=in_doubt)
    return Superseded(row.attempt, row.outcome)
