"""The connection to RabbitMQ, and the topology."""

from waybill_worker.broker import topology
from waybill_worker.broker.connection import (
    GOODBYE_SECONDS,
    BrokerConnection,
    QueueStats,
    queue_stats,
    would_connect,
)
from waybill_worker.broker.delay_ladder import LEVELS, MAX_DELAY_SECONDS, ladder_entry, round_up
from waybill_worker.broker.delivery import Acknowledger, Delivery
from waybill_worker.broker.wait import UNREACHABLE, BrokerWait, refusal

__all__ = [
    "GOODBYE_SECONDS",
    "LEVELS",
    "MAX_DELAY_SECONDS",
    "UNREACHABLE",
    "Acknowledger",
    "BrokerConnection",
    "BrokerWait",
    "Delivery",
    "QueueStats",
    "ladder_entry",
    "queue_stats",
    "refusal",
    "round_up",
    "topology",
    "would_connect",
]
