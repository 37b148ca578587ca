"""What a handler raises to say whether trying again can help.

Anything else that a handler raises counts as transient: a defect may be mended by a deployment before the
attempts run out, and a task that was given up too early is the worse loss.
"""


class HandlerError(Exception):
    """The base of them; `str()` of it is shown to the caller of the API, so it names no secrets."""


class TransientError(HandlerError):
    """A later attempt can succeed: a time-out, a refused connection, a busy server.

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
