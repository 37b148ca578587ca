"""When the next attempt starts, or why there is none. Pure: the clock and the dice are arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from chassis.delay import MAX_DELAY_SECONDS
from chassis.errors import PermanentError, TransientError, UncertainError
from contracts.events import WhenUncertain
from contracts.lifecycle import DeadReason

#: Beyond this power of two every cap is reached; it keeps the arithmetic small.
_MAX_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a handler is tried."""

    max_attempts: int
    #: The longest wait before the second attempt; it doubles with each further one.
    base_seconds: float
    #: No wait is longer, unless the other side asks for it.
    cap_seconds: float
    #: The share of a wait that is drawn at random: 1 is full jitter, 0 none.
    jitter: float = 1.0

    def backoff(self, attempt: int, draw: Callable[[], float]) -> float:
        """Seconds from the failure of attempt number `attempt` to the next one.

        Args:
            attempt: the one that failed, from 1.
            draw: gives a number in [0, 1).

        Full jitter spreads the retries of many tasks that failed together evenly over the whole wait
        (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
        """
        longest = min(self.cap_seconds, self.base_seconds * (1 << min(attempt - 1, _MAX_DOUBLINGS)))
        return longest * (1 - self.jitter * draw())


@dataclass(frozen=True, slots=True)
class Retry:
    """A later attempt is due after so many seconds."""

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

    A wait that the other side asked for is honoured even beyond the cap, up to what the delay ladder can do.
    An error that is not ours counts as transient (see `chassis.errors`).
    """
    if isinstance(error, PermanentError):
        return GiveUp(DeadReason.PERMANENT)
    if isinstance(error, UncertainError) and when_uncertain is WhenUncertain.PARK:
        return GiveUp(DeadReason.UNCERTAIN)
    if attempt >= max_attempts:
        return GiveUp(DeadReason.EXHAUSTED)
    seconds = policy.backoff(attempt, draw)
    if isinstance(error, TransientError) and error.retry_after is not None:
        seconds = max(seconds, min(error.retry_after, MAX_DELAY_SECONDS))
    if deadline is not None and now + timedelta(seconds=seconds) > deadline:
        return GiveUp(DeadReason.DEADLINE)
    return Retry(seconds)
