"""API keys: made, listed, rotated, revoked."""

from waybill_gateway.keys import routes

__all__ = [
    "routes",
]
