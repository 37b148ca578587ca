"""Schedules: tasks that are made again and again."""

from waybill_gateway.schedules import routes, run_routes
from waybill_gateway.schedules.models import ChangeSchedule, PostSchedule, ScheduleQuery
from waybill_gateway.schedules.plans import no_such_schedule

__all__ = [
    "ChangeSchedule",
    "PostSchedule",
    "ScheduleQuery",
    "no_such_schedule",
    "routes",
    "run_routes",
]
