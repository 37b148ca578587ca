"""Pages about the installation itself: its account of all tasks, its queues, its audit trail, its keys."""

from waybill_gateway.ui.administration import account_page, audit_page, key_pages, queues_page

__all__ = ["account_page", "audit_page", "key_pages", "queues_page"]
