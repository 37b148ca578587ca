"""One attempt: the handler, its limits, and the decision what follows."""

from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.circuit import DEFAULT_CIRCUIT, Circuit, CircuitPolicy
from waybill_worker.attempt.handlers import Handler, by_kind
from waybill_worker.attempt.isolation import Isolation, LoneAttempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.attempt.metrics import AttemptMetrics
from waybill_worker.attempt.runner import Attempts
from waybill_worker.attempt.running_handlers import RunningHandlers, uncancellable
from waybill_worker.attempt.settings import CircuitSettings, LadderSeconds, MaxAttempts, RetrySettings
from waybill_worker.attempt.watchdog import EXIT_HARD_LIMIT, Watchdog
from waybill_worker.attempt.work import Work

__all__ = [
    "DEFAULT_CIRCUIT",
    "EXIT_HARD_LIMIT",
    "Attempt",
    "AttemptMetrics",
    "Attempts",
    "Circuit",
    "CircuitPolicy",
    "CircuitSettings",
    "Handler",
    "Isolation",
    "LadderSeconds",
    "LoneAttempt",
    "MaxAttempts",
    "RetrySettings",
    "RunningHandlers",
    "Watchdog",
    "Work",
    "by_kind",
    "configured",
    "uncancellable",
]
