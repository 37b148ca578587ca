"""Periodic work: the topology, reconciliation, pruning, measures."""

from waybill_status.upkeep.declarer import Declarer
from waybill_status.upkeep.measurer import Measurer
from waybill_status.upkeep.metrics import StatusMetrics
from waybill_status.upkeep.pruner import Pruner, Retention
from waybill_status.upkeep.reconciler import Reconciler

__all__ = [
    "Declarer",
    "Measurer",
    "Pruner",
    "Reconciler",
    "Retention",
    "StatusMetrics",
]
