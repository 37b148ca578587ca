"""How long a handler may run, how it is stopped, and what ends the process where nothing less helps."""

from waybill_worker.limits.running_handlers import (
    CLEAN_UP_SECONDS,
    HandlerCancelled,
    RunningHandlers,
    StopReason,
    goes_on_in_a_thread,
    hard_limit_error,
    uncancellable,
)
from waybill_worker.limits.time_limits import DEFAULT_LIMITS, LONGEST_SECONDS, TimeLimits
from waybill_worker.limits.watchdog import EXIT_HARD_LIMIT, Watchdog, Watched

__all__ = [
    "CLEAN_UP_SECONDS",
    "DEFAULT_LIMITS",
    "EXIT_HARD_LIMIT",
    "LONGEST_SECONDS",
    "HandlerCancelled",
    "RunningHandlers",
    "StopReason",
    "TimeLimits",
    "Watchdog",
    "Watched",
    "goes_on_in_a_thread",
    "hard_limit_error",
    "uncancellable",
]
