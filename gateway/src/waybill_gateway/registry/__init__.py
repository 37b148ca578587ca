"""The registry: services are registered and retired, kinds and services are looked at and scraped."""

from waybill_gateway.registry import kind_routes, service_routes, target_routes
from waybill_gateway.registry.models import KindDetails, KindQuery, ServiceDetails, ServiceState

__all__ = [
    "KindDetails",
    "KindQuery",
    "ServiceDetails",
    "ServiceState",
    "kind_routes",
    "service_routes",
    "target_routes",
]
