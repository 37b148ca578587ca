"""Pages about tasks: the list, one task, cancelling."""

from waybill_gateway.ui.tasks import list_page

__all__ = ["list_page"]
