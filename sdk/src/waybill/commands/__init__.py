"""The commands of authors of services, which `waybill` loads when they are called."""

from waybill.commands.loading import load_service

__all__ = ["load_service"]
