"""Alerts to the operators: at once for a new kind of failure, otherwise in digests."""

from waybill_status.alerts.alerts import Alerts
from waybill_status.alerts.digests import Digests

__all__ = [
    "Alerts",
    "Digests",
]
