"""Cancelling tasks."""

from waybill_ledger.cancellation.cancel import Cancellation, Prevented, Stopping, TooLate, cancel

__all__ = [
    "Cancellation",
    "Prevented",
    "Stopping",
    "TooLate",
    "cancel",
]
