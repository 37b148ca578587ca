"""API keys: made, listed, rotated, revoked."""

from waybill_gateway.keys import routes
from waybill_gateway.keys.models import KeyQuery, PostKey, RotateKey

__all__ = [
    "KeyQuery",
    "PostKey",
    "RotateKey",
    "routes",
]
