"""Decides what a service may do with a message, by the rows of its inbox. Pure: no database.

The inbox has one row for each subtask and redrive: the latest attempt, and either the owner of its lease or
its outcome.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from waybill_worker.outcome import Outcome, RetryLater, Snoozed


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """A request to run one attempt."""

    task_id: str
    redrive_no: int
    attempt: int
    #: Unique name of the claim, which must still hold when its outcome is recorded (a fencing token).
    owner: str
    now: datetime
    lease_until: datetime
    #: How often this attempt was snoozed before.
    snooze_no: int = 0


class RowState(StrEnum):
    """State of the latest attempt."""

    CLAIMED = "claimed"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class InboxRow:
    """The inbox's row of a subtask."""

    attempt: int
    state: RowState
    owner: str
    lease_until: datetime
    outcome: Outcome | None
    #: How many runs of the attempt have begun.
    starts: int = 1
    #: The run that holds the claim has begun an effect from which a repeat cannot be distinguished.
    effect_begun: bool = False
    #: An earlier run or attempt may have had such an effect.
    in_doubt: bool = False
    #: How often the attempt was snoozed before.
    snooze_no: int = 0
    #: When the first attempt was first claimed, and when this one was; None: by an older release.
    life_since: datetime | None = None
    attempt_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """Run it: no other copy runs while the lease is renewed."""

    owner: str
    #: The task was cancelled: record that instead of running it.
    is_cancelled: bool = False
    #: An earlier run of this attempt was cut off, because its process died.
    begun_before: bool = False
    #: An earlier run or attempt may have had an effect from which a repeat cannot be distinguished.
    in_doubt: bool = False
    #: When the first attempt was first claimed, and when this one was; None: now.
    life_since: datetime | None = None
    attempt_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class AlreadyDone:
    """This attempt has been run: report its outcome again, because the process may have died before."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Superseded:
    """A later attempt or an outcome exists: this copy is obsolete.

    Its sender may not know of what exists, so that is reported again.
    """

    #: The attempt that exists, and its outcome; None: it has been claimed and is not done.
    attempt: int
    outcome: Outcome | None
    snooze_no: int = 0


@dataclass(frozen=True, slots=True)
class Busy:
    """Another copy runs, or its process died: try again when its lease has expired."""

    until: datetime


Ticket = Claimed | AlreadyDone | Superseded | Busy


def decide(row: InboxRow, request: ClaimRequest) -> Ticket:
    """Decide on `request` where a row exists; `Claimed` means that it takes the row over."""
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
    # A later attempt may follow a retry or a snooze, but not an outcome that ended the subtask.
    if isinstance(row.outcome, RetryLater | Snoozed):
        return claimed
    return superseded
