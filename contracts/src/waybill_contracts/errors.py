"""The errors that authors of services raise in handlers: they say whether another attempt can help.

Any other error of a handler counts as transient: a deployment may correct a defect before the attempts are
used up, and a task that is given up too early is the worse loss.
"""


class HandlerError(Exception):
    """Base class; its `str()` is shown to callers of the API, so it must not contain secrets."""


class TransientError(HandlerError):
    """A later attempt can succeed: a time-out, a busy server.

        raise TransientError("the printer is busy", retry_after=30)

    Args:
        message: what happened, for the task's record.
        retry_after: seconds that the other side asked to wait; the next attempt starts no earlier.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PermanentError(HandlerError):
    """No later attempt can succeed: the input is refused for good. It becomes a dead letter at once.

    raise PermanentError("there is no order of this number")
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


class RateLimitedError(SnoozeError):
    """The other side says that it takes no more now."""
