"""Time limits of an attempt."""

from dataclasses import dataclass
from typing import Final

#: RabbitMQ takes back a message that is not acknowledged within 30 minutes (`consumer_timeout`), and the
#: outcome must be recorded and reported before. The message of an attempt that may take longer than this is
#: acknowledged before it is run.
HELD_SECONDS: Final = 25 * 60.0
#: A week: longer ones are rather mistakes.
LONGEST_SECONDS: Final = 7 * 24 * 60 * 60.0


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """The limits of one handler, in seconds from its start.

    Raises:
        ValueError: the limits contradict each other.
    """

    #: The handler is asked to stop at its next await; it may clean up and complete an effect.
    soft_seconds: float = 240
    #: It is cut off, an effect under way too; if it does not end, its process does.
    hard_seconds: float = 300

    def __post_init__(self) -> None:
        if not 0 < self.soft_seconds < self.hard_seconds <= LONGEST_SECONDS:
            raise ValueError(
                f"the soft time limit ({self.soft_seconds:g} s) must lie below the hard one "
                f"({self.hard_seconds:g} s), and that at most at {LONGEST_SECONDS:g} s"
            )

    @property
    def is_long(self) -> bool:
        """Whether the attempt may take longer than the broker lets a message be held."""
        return self.hard_seconds > HELD_SECONDS


#: The limits of handlers that have none of their own.
DEFAULT_LIMITS: Final = TimeLimits()
