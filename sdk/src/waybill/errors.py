"""The errors that a handler raises, to say whether another attempt can help.

Any other exception counts as transient: a deployment may correct a defect before the attempts are used up.
"""

from datetime import timedelta
from typing import Any

from waybill_contracts.errors import PermanentError, RateLimitedError, SnoozeError, TransientError

__all__ = ["PermanentError", "RateLimited", "Snooze", "TransientError"]


def _seconds(wait: float | timedelta | None) -> float | None:
    return wait.total_seconds() if isinstance(wait, timedelta) else wait


class Snooze(SnoozeError):  # noqa: N818 - `raise Snooze(60)` reads well
    """Puts the attempt off, which does not count: the work is fine, but cannot be done now.

        raise Snooze(3600, "the books of this month are not closed")

    Args:
        wait: seconds until another run makes sense; None: a wait that grows with each snooze.
        message: what it waits for, for the task's record; it must not contain secrets.
    """

    def __init__(self, wait: float | timedelta | None = None, message: str = "put off") -> None:
        super().__init__(message, retry_after=_seconds(wait))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.retry_after, str(self))


class RateLimited(RateLimitedError):  # noqa: N818 - as `Snooze`
    """The other side accepts no more now; put off like `Snooze`.

        raise RateLimited(float(answer.headers["Retry-After"]))

    Args:
        wait: seconds that it asked to wait; None: a wait that grows with each snooze.
        message: for the task's record; it must not contain secrets.
    """

    def __init__(
        self, wait: float | timedelta | None = None, message: str = "the other side accepts no more now"
    ) -> None:
        super().__init__(message, retry_after=_seconds(wait))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.retry_after, str(self))
