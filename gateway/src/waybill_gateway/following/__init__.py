"""Following what happens to tasks: one reader of the ledger wakes all who watch."""

from waybill_gateway.following.departures import unless_gone
from waybill_gateway.following.waiting import MOST_WAIT_SECONDS, until_ended
from waybill_gateway.following.watch import Over, Sort, Watch
from waybill_gateway.following.watches import Watches, WatchesDep

__all__ = [
    "MOST_WAIT_SECONDS",
    "Over",
    "Sort",
    "Watch",
    "Watches",
    "WatchesDep",
    "unless_gone",
    "until_ended",
]
