"""What a handler raises to say whether trying again can help.

Anything else that a handler raises counts as transient: a defect may be mended by a deployment before the
attempts run out, and a task that was given up too early is the worse loss.
"""

from typing import Final


class HandlerError(Exception):
    """The base of them; `str()` of it is shown to the caller of the API, so it names no secrets."""


class TransientError(HandlerError):
    """A later attempt can succeed: a time-out, a busy server.

    Args:
        message: what happened, in words for the task's record.
        retry_after: seconds that the other side asked us to wait; the next attempt starts no earlier.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PermanentError(HandlerError):
    """No later attempt can succeed: the input is refused for good. It becomes a dead letter at once."""


class UncertainError(HandlerError):
    """The effect may have happened, and no repeat of it can be told apart.

    The event says what is to follow: another attempt (`resend`), or a dead letter (`park`).
    """


class ServerFailureError(TransientError):
    """The other side failed at it (a 5xx), perhaps because it as a whole is in trouble."""


class UnansweredError(ServerFailureError):
    """No answer came to what was sent: the effect may have happened.

    A repeat of it is recognised by the other side, so that another attempt is no risk. But where none
    follows, because the task is called off, its record must say so.
    """


class SnoozeError(HandlerError):
    """The same attempt again later: the other side is not ready, and nothing is wrong with the work.

    It does not count as an attempt.

    Args:
        message: what it waits for, in words for the task's record.
        retry_after: seconds until trying again makes sense; None: a wait that grows with each snooze.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimitedError(SnoozeError):
    """The other side takes no more just now, and says so."""


class UnreachableError(SnoozeError):
    """The other side cannot be reached: nothing was sent."""


class OutOfServiceError(SnoozeError):
    """The other side says that it does no work just now, or none of ours: its own fault or our settings."""


class CircuitOpenError(SnoozeError):
    """The other side is left alone because it did not answer lately."""


#: What speaks against the other side as a whole: enough of them in a row open its circuit.
OUTAGE_ERRORS: Final = (UnreachableError, OutOfServiceError, ServerFailureError)


class SoftTimeLimitExceeded(TransientError):  # noqa: N818 - the name that records and operators know it by
    """The handler was asked to stop because it had run for too long, and it stopped."""


class HardTimeLimitExceeded(TransientError):  # noqa: N818 - as its sibling
    """The handler was cut off because it had run for too long: an effect under way may have happened."""
