"""Work directly at the broker, without the gateway: waiting payloads, dead letters and their redrive."""

from waybill_cli.broker.connection import connected_broker, find_queue, run_on_broker
from waybill_cli.broker.letters import Letter, Wanted, take_letters
from waybill_cli.broker.redriving import Redriven, Redriver
from waybill_cli.broker.waiting import waiting_at_broker

__all__ = [
    "Letter",
    "Redriven",
    "Redriver",
    "Wanted",
    "connected_broker",
    "find_queue",
    "run_on_broker",
    "take_letters",
    "waiting_at_broker",
]
