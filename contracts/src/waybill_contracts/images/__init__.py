"""Image formats, limits and variant names that the gateway and the images service share."""

from waybill_contracts.images.formats import (
    ACCEPTED_FORMATS,
    SNIFF_BYTES,
    ImageFormat,
    sniff,
    unsupported_format,
)
from waybill_contracts.images.limits import ImageLimits
from waybill_contracts.images.variants import PRESET_NAMES, PresetName

__all__ = [
    "ACCEPTED_FORMATS",
    "PRESET_NAMES",
    "SNIFF_BYTES",
    "ImageFormat",
    "ImageLimits",
    "PresetName",
    "sniff",
    "unsupported_format",
]
