"""Pages about tasks: the list, one task, cancelling, revealing."""

from waybill_gateway.ui.tasks import list_page, task_page

__all__ = ["list_page", "task_page"]
