"""Pages of schedules: the list, one schedule and what may be done with it, a form for a new one."""

from waybill_gateway.ui.schedules import new_pages, schedule_pages

__all__ = ["new_pages", "schedule_pages"]
