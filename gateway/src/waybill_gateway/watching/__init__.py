"""Watching tasks: their events as endless answers."""

from waybill_gateway.watching import event_routes

__all__ = ["event_routes"]
