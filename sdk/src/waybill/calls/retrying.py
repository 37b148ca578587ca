"""When a call is tried again, and how long it may take: one state machine for all clients, without I/O."""

import random
import time
from dataclasses import dataclass
from math import inf
from typing import Final, Generic

from waybill.calls.call import Answer, Call, T
from waybill.problems import ClientError, error_of

#: Seconds that an attempt gets at least, however little is left.
_LEAST: Final = 0.05
#: By how much a wait that the server asks for may be longer, so that not all callers return at once.
_SPREAD: Final = 0.2
#: Of success, and of redirects, which follow it.
_SUCCESS: Final = 200
_REDIRECTS: Final = 300


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a call may take, in seconds."""

    #: With all attempts and the waits between them; 0: one attempt. Calls that last have it from their first
    #: failure on, for further attempts to begin in.
    deadline: float = 30.0
    #: One attempt.
    attempt: float = 10.0
    #: The first wait at most; each is up to twice as long as the one before.
    first_wait: float = 0.2
    #: Any wait at most, unless the server asks for a longer one.
    longest_wait: float = 5.0

    def __post_init__(self) -> None:
        if not (self.deadline >= 0 and self.attempt > 0):
            raise ValueError("deadline and timeout are seconds, not less than 0; a timeout is more")


class Trying(Generic[T]):
    """The attempts of one call.

        trying = Trying(call, limits)
        while True:
            try:
                return trying.read(send(call, trying.seconds))
            except ClientError as error:
                sleep(trying.pause_after(error))

    Args:
        call: is tried.
        limits: how long it may take.
    """

    def __init__(self, call: Call[T], limits: Limits) -> None:
        self._call = call
        self._limits = limits
        self._deadline = limits.deadline if call.deadline is None else call.deadline
        #: A deadline of 0 leaves one attempt, with its whole time.
        self._is_single = not self._deadline
        self._wait = limits.first_wait
        now = time.monotonic()
        #: When the last attempt has ended, and before when it has begun; None: that is said by a failure.
        self._ends = None if call.within is None else now + call.within
        self._last_begins: float | None = None
        if not self._is_single and (call.deadline is not None or not call.lasts):
            self._ends = min(now + self._deadline, self._ends or inf)

    @property
    def seconds(self) -> float:
        """Seconds that the next attempt may take."""
        attempt = self._limits.attempt + self._call.lasts
        return attempt if self._ends is None else max(min(attempt, self._ends - time.monotonic()), _LEAST)

    @property
    def silent(self) -> float:
        """Seconds for which nothing may arrive in the next attempt."""
        return min(self.seconds, self._limits.attempt + self._call.silent)

    def read(self, answer: Answer) -> T:
        """What the answer says.

        Raises:
            ClientError: the call was refused, or the answer cannot be read.
        """
        require_success(answer)
        return self._call.read(answer)

    def pause_after(self, error: ClientError) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            ClientError: the given one, if there is no further attempt.
        """
        is_safe = self._call.is_repeatable or not error.may_have_taken_effect
        pause = random.uniform(0, self._wait)  # noqa: S311 - spreads callers, and protects nothing
        if error.retry_after is not None:
            pause = max(pause, error.retry_after * random.uniform(1, 1 + _SPREAD))  # noqa: S311
        now = time.monotonic()
        if self._last_begins is None:
            # A call that lasts may fail late: what went well before is not held against it.
            self._last_begins = min(now + self._deadline, self._ends or inf)
        is_over = self._is_single or now + pause >= self._last_begins
        if is_over or not (error.is_temporary and is_safe):
            raise error
        self._wait = min(2 * self._wait, self._limits.longest_wait)
        return pause


def require_success(answer: Answer) -> None:
    """Raises the error that an answer stands for, also a redirect: nothing was done there.

    Raises:
        ClientError: the call was refused, or cannot be carried out.
    """
    if not _SUCCESS <= answer.status < _REDIRECTS:
        raise error_of(answer.status, answer.content, answer.headers.get("retry-after"))
