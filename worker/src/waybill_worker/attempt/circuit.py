"""The circuit breaker: sends nothing to another system for a while when it does not answer.

A closed circuit lets every call pass. After a number of failures in a row it opens, and calls are snoozed
without being tried. When its time is over, one call passes as a probe: an answer closes the circuit, another
failure opens it for longer. (Michael Nygard, "Release It!", 2nd edition, 5.2.)

Each process has its own state: every replica finds out by itself, and needs no shared store.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final, TypeVar

from waybill_worker.errors import OUTAGE_ERRORS, CircuitOpenError
from waybill_worker.observe import get_logger

log = get_logger(__name__)
Result = TypeVar("Result")

#: Beyond this power of two every cap is reached; it keeps the arithmetic small.
_MAX_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """When a circuit opens, and for how long."""

    #: Failures in a row that open it.
    threshold: int = 8
    #: How long it stays open the first time; it doubles with each probe that fails.
    base_seconds: float = 5
    #: It never stays open for longer.
    cap_seconds: float = 120

    def open_seconds(self, openings: int, draw: Callable[[], float]) -> float:
        """Return how long it stays open the `openings`-th time in a row; up to half of it is random.

        Otherwise the replicas of a service, which lost the same peer at the same time, would probe together.
        """
        longest = min(self.cap_seconds, self.base_seconds * (1 << min(openings - 1, _MAX_DOUBLINGS)))
        return longest * (1 - draw() / 2)


#: The policy of a peer that has none of its own.
DEFAULT_CIRCUIT: Final = CircuitPolicy()


@dataclass(frozen=True, slots=True)
class CircuitState:
    """The state of a circuit; each change makes a new one, and the clock is an argument."""

    #: Failures in a row while closed.
    failures: int = 0
    #: How often it has opened since it was last closed; 0: it is closed.
    openings: int = 0
    #: On the clock: a probe may pass from then on.
    open_until: float = 0
    #: Number of the probe that is running; 0: none.
    probe: int = 0

    @property
    def is_open(self) -> bool:
        """Whether calls are snoozed."""
        return self.openings > 0

    def wait(self, now: float, policy: CircuitPolicy) -> float:
        """Return the seconds that a caller must wait; 0: it may pass."""
        if not self.is_open:
            return 0
        if self.probe:
            # Its answer comes soon; if it fails, the circuit sets a new time.
            return policy.base_seconds
        return max(0.0, self.open_until - now)

    def passed(self, number: int) -> "CircuitState":
        """Caller `number` has passed: while open, it is the probe."""
        return replace(self, probe=number) if self.is_open else self

    def answered(self) -> "CircuitState":
        """The other side has answered; what it answered does not matter."""
        return CircuitState()

    def failed(
        self, number: int, now: float, policy: CircuitPolicy, draw: Callable[[], float]
    ) -> "CircuitState":
        """Caller `number` got no answer. One that passed before the circuit opened changes nothing."""
        if self.is_open and number != self.probe:
            return self
        failures = self.failures + 1
        if not self.is_open and failures < policy.threshold:
            return replace(self, failures=failures)
        openings = self.openings + 1
        return CircuitState(openings=openings, open_until=now + policy.open_seconds(openings, draw))

    def gave_up(self, number: int) -> "CircuitState":
        """Caller `number` was stopped before it had an answer: if it was the probe, the next caller is."""
        return replace(self, probe=0) if number == self.probe else self


class Circuit:
    """The circuit to one other system.

    Args:
        name: the other system, as the log and the task's record name it.
        policy: when it opens, and for how long.
        clock: seconds that only go forward.
        draw: gives a number in [0, 1).
    """

    def __init__(
        self,
        name: str,
        policy: CircuitPolicy,
        *,
        clock: Callable[[], float] = monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._name = name
        self._policy = policy
        self._clock = clock
        self._draw = draw
        self._state = CircuitState()
        self._callers = 0

    async def call(self, action: Callable[[], Awaitable[Result]]) -> Result:
        """Runs `action` if the circuit lets it pass.

        Raises:
            CircuitOpenError: the circuit is open, and nothing was done; or this was the probe, and it failed.
                A probe of a lasting outage must not use up an attempt.
            UnreachableError, OutOfServiceError, ServerFailureError: from `action`; these count as failures,
                anything else is an answer.
        """
        wait = self._state.wait(self._clock(), self._policy)
        if wait > 0:
            raise CircuitOpenError(
                f"{self._name} did not answer lately and is left alone for now", retry_after=wait
            )
        self._callers += 1
        number = self._callers
        self._state = self._state.passed(number)
        try:
            result = await action()
        except OUTAGE_ERRORS as error:
            was_probe = number == self._state.probe
            self._change(self._state.failed(number, self._clock(), self._policy, self._draw))
            if was_probe:
                wait = self._state.wait(self._clock(), self._policy)
                raise CircuitOpenError(f"{error} (the circuit stays open)", retry_after=wait) from error
            raise
        except Exception:
            self._change(self._state.answered())
            raise
        except BaseException:
            self._change(self._state.gave_up(number))
            raise
        self._change(self._state.answered())
        return result

    def _change(self, after: CircuitState) -> None:
        before, self._state = self._state, after
        if after.openings > before.openings:
            seconds = round(after.open_until - self._clock(), 1)
            log.warning("circuit opened", target=self._name, seconds=seconds, openings=after.openings)
        elif before.is_open and not after.is_open:
            log.info("circuit closed", target=self._name)
