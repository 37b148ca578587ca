"""One attempt: the handler, its limits, and the decision what follows."""

from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.circuit import DEFAULT_CIRCUIT, Circuit, CircuitPolicy
from waybill_worker.attempt.handlers import Handler, Runs, by_kind, handler_of_unknown
from waybill_worker.attempt.isolation import Emit, Isolation, LoneAttempt
from waybill_worker.attempt.kind_policies import configured, policy_of
from waybill_worker.attempt.metrics import UNKNOWN_KIND, AttemptMetrics
from waybill_worker.attempt.plain_functions import FunctionProcesses
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.attempt.runner import Attempts
from waybill_worker.attempt.settings import (
    CircuitSettings,
    LadderSeconds,
    MaxAttempts,
    PolicyOverride,
    RetrySettings,
)
from waybill_worker.attempt.sync_attempt import Portal, SyncAttempt
from waybill_worker.attempt.work import Work

__all__ = [
    "DEFAULT_CIRCUIT",
    "UNKNOWN_KIND",
    "Attempt",
    "AttemptMetrics",
    "Attempts",
    "Circuit",
    "CircuitPolicy",
    "CircuitSettings",
    "Emit",
    "FunctionProcesses",
    "Handler",
    "Isolation",
    "LadderSeconds",
    "LoneAttempt",
    "MaxAttempts",
    "PolicyOverride",
    "Portal",
    "RetryPolicy",
    "RetrySettings",
    "Runs",
    "SyncAttempt",
    "Work",
    "by_kind",
    "configured",
    "handler_of_unknown",
    "policy_of",
]
