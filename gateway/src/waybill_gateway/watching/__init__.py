"""Watching tasks: their events as endless answers, and links that show one task to a browser."""

from waybill_gateway.watching import event_routes, link_routes, page_routes
from waybill_gateway.watching.link_access import link_limiters
from waybill_gateway.watching.origins import LinkOrigins

__all__ = ["LinkOrigins", "event_routes", "link_limiters", "link_routes", "page_routes"]
