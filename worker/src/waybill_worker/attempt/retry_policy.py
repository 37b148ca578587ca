"""When the next attempt starts, or why there is none. Pure: clock and random numbers are arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from waybill_contracts.events import WhenUncertain
from waybill_contracts.wire import MAX_SNOOZES, DeadReason
from waybill_worker.broker import MAX_DELAY_SECONDS
from waybill_worker.errors import (
    NotReadableYetError,
    PermanentError,
    SnoozeError,
    TransientError,
    UncertainError,
)

#: Beyond this power of two every cap is reached; it keeps the arithmetic small.
_MAX_DOUBLINGS = 30
#: A message that this release cannot read waits for this share of the time that it has waited already: while
#: two releases consume one queue it may come to the old one several times, and is late by a share of the
#: deployment only.
_UNREADABLE_SHARE = 1 / 8


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a handler is tried, and how long the waits are."""

    max_attempts: int
    #: The longest wait before the second attempt; it doubles with each further one.
    base_seconds: float
    #: No wait is longer, unless the other side asks for it.
    cap_seconds: float
    #: The random share of a wait: 1 is full jitter, 0 none.
    jitter: float = 0.2
    #: Seconds after the first claim in which attempts may start; None: no limit.
    deadline_seconds: float | None = None
    #: Seconds in all for which one attempt may be snoozed.
    snooze_seconds: float = 24 * 60 * 60.0
    #: The longest wait of the first snooze (it doubles each time), and of any.
    snooze_base_seconds: float = 2
    snooze_cap_seconds: float = 900

    def backoff(self, attempt: int, draw: Callable[[], float]) -> float:
        """Seconds from the failure of attempt number `attempt` to the next one.

        Args:
            attempt: the one that failed, from 1.
            draw: gives a number in [0, 1).

        A part of the wait is random, so that tasks that failed together do not come back together; only a
        part, so that the attempts last as long as documented.
        """
        return self._drawn(self.base_seconds, self.cap_seconds, attempt, draw)

    def snooze(self, snooze_no: int, draw: Callable[[], float]) -> float:
        """Seconds of the snooze of an attempt that was snoozed `snooze_no` times before."""
        return self._drawn(self.snooze_base_seconds, self.snooze_cap_seconds, snooze_no + 1, draw)

    def snooze_unreadable(self, waited: float, draw: Callable[[], float]) -> float:
        """Seconds of the snooze of a message that this release cannot read.

        Args:
            waited: seconds since its first claim.
            draw: gives a number in [0, 1).
        """
        longest = min(self.snooze_cap_seconds, max(self.snooze_base_seconds, waited * _UNREADABLE_SHARE))
        return longest * (1 - self.jitter * draw())

    def _drawn(self, base: float, cap: float, number: int, draw: Callable[[], float]) -> float:
        longest = min(cap, base * (1 << min(number - 1, _MAX_DOUBLINGS)))
        return longest * (1 - self.jitter * draw())


@dataclass(frozen=True, slots=True)
class Retry:
    """A later attempt is due after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Snooze:
    """The same attempt is due after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further attempt."""

    reason: DeadReason


def after_failure(
    error: Exception,
    *,
    policy: RetryPolicy,
    attempt: int,
    max_attempts: int,
    deadline: datetime | None,
    now: datetime,
    draw: Callable[[], float],
    when_uncertain: WhenUncertain = WhenUncertain.RESEND,
) -> Retry | GiveUp:
    """Decides what follows the failure of one attempt.

    A wait that the other side asked for is honoured even above the cap, up to the limit of the delay ladder.
    An error of another type counts as transient (see `waybill_worker.errors`).
    """
    if isinstance(error, PermanentError):
        return GiveUp(DeadReason.PERMANENT)
    if isinstance(error, UncertainError) and when_uncertain is WhenUncertain.PARK:
        return GiveUp(DeadReason.UNCERTAIN)
    if attempt >= max_attempts:
        return GiveUp(DeadReason.EXHAUSTED)
    seconds = policy.backoff(attempt, draw)
    if isinstance(error, TransientError):
        seconds = _honoured(error.retry_after, seconds)
    if deadline is not None and now + timedelta(seconds=seconds) > deadline:
        return GiveUp(DeadReason.DEADLINE)
    return Retry(seconds)


def after_snooze(
    error: SnoozeError,
    *,
    policy: RetryPolicy,
    snooze_no: int,
    attempt_since: datetime,
    deadline: datetime | None,
    now: datetime,
    draw: Callable[[], float],
) -> Snooze | GiveUp:
    """Decides how long an attempt is snoozed: a snooze does not count as an attempt, but has a limit in all.

    Args:
        error: why, and for how long the other side asks us to wait.
        policy: the wait grows with each snooze, unless the other side asks for a longer one. For a message
            that this release cannot read it grows with the time since the first claim.
        snooze_no: how often the attempt was snoozed before.
        attempt_since: when it was first claimed.
        deadline: no attempt starts after this.
        now: the current time.
        draw: gives a number in [0, 1).
    """
    is_unread = isinstance(error, NotReadableYetError)
    if is_unread:
        seconds = policy.snooze_unreadable((now - attempt_since).total_seconds(), draw)
    else:
        seconds = _honoured(error.retry_after, policy.snooze(snooze_no, draw))
    due = now + timedelta(seconds=seconds)
    if deadline is not None and due > deadline:
        return GiveUp(DeadReason.DEADLINE)
    if snooze_no >= MAX_SNOOZES or due > attempt_since + timedelta(seconds=policy.snooze_seconds):
        return GiveUp(DeadReason.UNREADABLE if is_unread else DeadReason.EXHAUSTED)
    return Snooze(seconds)


def _honoured(asked: float | None, seconds: float) -> float:
    """The wait, at least as long as asked for, up to the limit of the delay ladder."""
    return seconds if asked is None else max(seconds, min(asked, MAX_DELAY_SECONDS))
