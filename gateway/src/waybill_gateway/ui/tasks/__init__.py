"""Pages of tasks: the list with its search, one task, many that are cancelled together."""

from waybill_gateway.ui.tasks import cancel_pages, list_page, task_page

__all__ = ["cancel_pages", "list_page", "task_page"]
