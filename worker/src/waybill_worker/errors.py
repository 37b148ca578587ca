"""The errors of attempts: those that authors of handlers raise, and those of the worker and its services."""

from typing import Final

from waybill_contracts.errors import (
    HandlerError,
    PermanentError,
    RateLimitedError,
    SnoozeError,
    TransientError,
)

__all__ = [
    "OUTAGE_ERRORS",
    "CircuitOpenError",
    "HandlerDiedError",
    "HandlerError",
    "HardTimeLimitExceeded",
    "NotReadableYetError",
    "OutOfServiceError",
    "PermanentError",
    "RateLimitedError",
    "ServerFailureError",
    "SnoozeError",
    "SoftTimeLimitExceeded",
    "SubmissionRefusedError",
    "TransientError",
    "UnansweredError",
    "UncertainError",
    "UnreachableError",
]


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


class NotReadableYetError(SnoozeError):
    """This process cannot read the message, but another one may: a newer release, or one with the key."""


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
