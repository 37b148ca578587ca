"""What the gateway"s tests share."""

from gateway_fixture import gateway

__all__ = ["gateway"]
