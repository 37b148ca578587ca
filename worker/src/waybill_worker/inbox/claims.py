"""What a service may do with a message, given what its inbox remembers. Pure decisions, no database.

The inbox holds one row for each subtask and redrive: the latest attempt, and either who holds its lease or
what came of it.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from waybill_worker.outcome import Outcome, RetryLater, Snoozed


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
    #: How often this attempt was put off before.
    snooze_no: int = 0


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
    #: How often the attempt was put off before.
    snooze_no: int = 0
    #: When the first attempt was claimed, and when this one was first; None: by an older release.
    life_since: datetime | None = None
    attempt_since: datetime | None = None


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
    #: When the first attempt was claimed, and when this one was first; None: just now.
    life_since: datetime | None = None
    attempt_since: datetime | None = None


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
    snooze_no: int = 0


@dataclass(frozen=True, slots=True)
class Busy:
    """Another copy is being run, or its runner died: look again when its lease has run out."""

    until: datetime


Ticket = Claimed | AlreadyDone | Superseded | Busy


def decide(row: InboxRow, request: ClaimRequest) -> Ticket:
    """Whether `request` may run where a row exists; `Claimed` means that the row is to be taken over."""
    known, asked = (row.attempt, row.snooze_no), (request.attempt, request.snooze_no)
    same_attempt = row.attempt == request.attempt
    claimed = Claimed(
        request.owner,
        in_doubt=row.in_doubt or row.effect_begun,
        life_since=row.life_since,
        attempt_since=row.attempt_since if same_attempt else None,
    )
    superseded = Superseded(row.attempt, row.outcome, row.snooze_no)
    if asked < known:
        return superseded
    if row.state is RowState.CLAIMED:
        if row.lease_until > request.now:
            return Busy(row.lease_until)
        return replace(claimed, begun_before=same_attempt)
    if row.outcome is None:
        raise ValueError("an attempt that is done has an outcome")
    if asked == known:
        return AlreadyDone(row.outcome)
    # A later one: it follows a retry or a snooze, but not an outcome that ended the subtask.
    if isinstance(row.outcome, RetryLater | Snoozed):
        return claimed
    return superseded
