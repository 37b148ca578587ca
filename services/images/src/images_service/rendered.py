"""What rendering makes."""

from dataclasses import dataclass

from images_service.presets import VariantFormat


@dataclass(frozen=True, slots=True)
class RenderedVariant:
    """One file of one variant."""

    preset: str
    format: VariantFormat
    content_type: str
    #: Upright, in pixels.
    width: int
    height: int
    data: bytes
