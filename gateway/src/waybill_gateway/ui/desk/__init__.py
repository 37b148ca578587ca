"""Pages of the failure desk: groups, letters and their edits, redrives."""

from waybill_gateway.ui.desk import (
    edit_pages,
    group_pages,
    letter_list_page,
    letter_pages,
    redrive_pages,
)

__all__ = ["edit_pages", "group_pages", "letter_list_page", "letter_pages", "redrive_pages"]
