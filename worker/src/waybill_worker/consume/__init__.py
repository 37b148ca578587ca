"""The consume pipeline: decode, claim, attempt, report, acknowledge."""

from waybill_worker.consume.connections import Connections
from waybill_worker.consume.consumer import Consumer
from waybill_worker.consume.consumers import Consumers, cancel_all
from waybill_worker.consume.control import Control
from waybill_worker.consume.decode import Decoder
from waybill_worker.consume.long_attempts import LongAttempts, Resumption
from waybill_worker.consume.pipeline import Pipeline
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.consume.turns import Turns

__all__ = [
    "Connections",
    "Consumer",
    "Consumers",
    "Control",
    "Decoder",
    "LongAttempts",
    "Pipeline",
    "Resumption",
    "ServiceSettings",
    "Turns",
    "cancel_all",
]
