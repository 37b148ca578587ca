"""The examination of uploads, as it runs in processes of its own: these import this room and nothing else."""

from waybill_gateway.probe.facts import ImageFacts, RefusedImage
from waybill_gateway.probe.worker import look_into

__all__ = [
    "ImageFacts",
    "RefusedImage",
    "look_into",
]
