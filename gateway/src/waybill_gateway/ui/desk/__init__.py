"""Pages of the failure desk: groups, letters, redrives."""

from waybill_gateway.ui.desk import group_pages, letter_pages, redrive_pages

__all__ = ["group_pages", "letter_pages", "redrive_pages"]
