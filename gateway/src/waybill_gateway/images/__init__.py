"""Images: uploads, their examination, and their variants."""

from waybill_gateway.images import routes
from waybill_gateway.images.probe_pool import ProbePool

__all__ = [
    "ProbePool",
    "routes",
]
