"""Waiting for what happens to tasks: one reader of the ledger wakes all who watch."""

from waybill_gateway.following.departures import unless_gone
from waybill_gateway.following.watches import MOST_WAIT_SECONDS, Watches, WatchesDep

__all__ = ["MOST_WAIT_SECONDS", "Watches", "WatchesDep", "unless_gone"]
