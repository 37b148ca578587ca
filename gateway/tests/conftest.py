"""What the gateway"s tests share."""

from gateway_under_test import gateway

__all__ = ["gateway"]
