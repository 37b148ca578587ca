"""The release of schedules."""

from waybill_status.schedules.releaser import ScheduleReleaser
from waybill_status.schedules.slot_check import SlotCheck

__all__ = [
    "ScheduleReleaser",
    "SlotCheck",
]
