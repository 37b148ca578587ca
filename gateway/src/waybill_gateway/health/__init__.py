"""Health: probes, metrics, the bare address."""

from waybill_gateway.health import entrance, routes

__all__ = [
    "entrance",
    "routes",
]
