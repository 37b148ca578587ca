"""The first page: what is wrong now, then how much work there is and how it flows."""

from waybill_gateway.ui.overview import overview_page

__all__ = ["overview_page"]
