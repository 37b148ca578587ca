"""Reveals: sealed data shown to callers that may see it and give a reason."""

from waybill_gateway.reveals import routes

__all__ = [
    "routes",
]
