"""The errors that a handler raises: they say whether another attempt can help.

Any other error of a handler counts as transient: a deployment may correct a defect before the attempts are
used up, and a task that is given up too early is the worse loss.
"""

from typing import Final


class HandlerError(Exception):
    """Base class; its `str()` is shown to callers of the API, so it must not contain secrets."""


class TransientError(HandlerError):
    """A later attempt can succeed: a time-out, a busy server.

    Args:
        message: what happened, for the task's record.
        retry_after: seconds that the other side asked to wait; the next attempt starts no earlier.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PermanentError(HandlerError):
    """No later attempt can succeed: the input is refused for good. It becomes a dead letter at once."""


class SubmissionRefusedError(PermanentError):
    """What the handler submits can never be accepted: too much, or no valid event."""


class UncertainError(HandlerError):
    """The effect may have happened, and a repeat of it could not be distinguished.

    The event says what follows: another attempt (`resend`), or a dead letter (`park`).
    """


class ServerFailureError(TransientError):
    """The other side failed (a 5xx), perhaps as a whole."""


class UnansweredError(ServerFailureError):
    """No answer came to what was sent: the effect may have happened.

    The other side recognises a repeat, so that another attempt is no risk. But if none follows because the
    task is cancelled, its record must say that the effect may have happened.
    """


class SnoozeError(HandlerError):
    """The attempt is run again later, and does not count: the other side is not ready; the work is fine.

    Args:
        message: what it waits for, for the task's record.
        retry_after: seconds until another run makes sense; None: a wait that grows with each snooze.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotReadableYetError(SnoozeError):
    """This process cannot read the message, but another one may: a newer release, or one with the key."""


class RateLimitedError(SnoozeError):
    """The other side says that it takes no more now."""


class UnreachableError(SnoozeError):
    """The other side cannot be reached: nothing was sent."""


class OutOfServiceError(SnoozeError):
    """The other side says that it does no work now, or none of ours: by its own fault, or our settings."""


class CircuitOpenError(SnoozeError):
    """The circuit is open: the other side did not answer lately."""


#: Failures of the other side as a whole: enough of them in a row open its circuit.
OUTAGE_ERRORS: Final = (UnreachableError, OutOfServiceError, ServerFailureError)


class HandlerDiedError(TransientError):
    """The process of a handler died, and this one lives: an effect under way may have happened."""


class SoftTimeLimitExceeded(TransientError):  # noqa: N818 - the name in records, which operators know
    """The handler ran for too long; it was asked to stop, and stopped."""


class HardTimeLimitExceeded(TransientError):  # noqa: N818 - as its sibling
    """The handler ran for too long and was cut off: an effect under way may have happened."""
