"""What the command"s tests share."""

from command_under_test import gateway, waybill

__all__ = ["gateway", "waybill"]
