"""Schedules: tasks that are made again and again."""

from waybill_gateway.schedules import routes
from waybill_gateway.schedules.plans import no_such_schedule

__all__ = [
    "no_such_schedule",
    "routes",
]
