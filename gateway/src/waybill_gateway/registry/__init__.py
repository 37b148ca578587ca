"""The registry: services are registered and retired, kinds and services are looked at."""

from waybill_gateway.registry import kind_routes, service_routes

__all__ = [
    "kind_routes",
    "service_routes",
]
