"""What is deleted, and when: pruning and erasure."""

from waybill_ledger.retention.erasure import Erased, ErasedStep, EraseStep, erase_persons, open_tasks
from waybill_ledger.retention.persons import Holdings, NamedTasks, Person, holdings_of
from waybill_ledger.retention.pruning import (
    LEAST_DAYS_FAILED,
    PrunedKeys,
    PrunedStep,
    PruneKeys,
    PruneStep,
    prune_keys,
    prune_tasks,
    would_prune,
)

__all__ = [
    "LEAST_DAYS_FAILED",
    "EraseStep",
    "Erased",
    "ErasedStep",
    "Holdings",
    "NamedTasks",
    "Person",
    "PruneKeys",
    "PruneStep",
    "PrunedKeys",
    "PrunedStep",
    "erase_persons",
    "holdings_of",
    "open_tasks",
    "prune_keys",
    "prune_tasks",
    "would_prune",
]
