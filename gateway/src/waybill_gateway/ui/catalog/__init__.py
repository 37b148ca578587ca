"""Pages of the registry: kinds with their contracts, services with their releases, a form for each kind."""

from waybill_gateway.ui.catalog import kind_pages, post_pages, service_pages

__all__ = ["kind_pages", "post_pages", "service_pages"]
