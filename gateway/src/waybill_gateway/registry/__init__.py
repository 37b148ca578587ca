"""The registry: services are registered and retired, kinds and services are looked at and scraped."""

from waybill_gateway.registry import kind_routes, service_routes, target_routes

__all__ = [
    "kind_routes",
    "service_routes",
    "target_routes",
]
