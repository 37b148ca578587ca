"""Reveals: sealed data shown to callers that may see it and give a reason."""

from waybill_gateway.reveals import routes
from waybill_gateway.reveals.models import RevealLetter, RevealReason

__all__ = [
    "RevealLetter",
    "RevealReason",
    "routes",
]
