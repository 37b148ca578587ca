"""Password resets: mailed links that are valid once."""

from waybill_gateway.password_resets import routes

__all__ = [
    "routes",
]
