"""The result of rendering an original."""

from dataclasses import dataclass
from typing import Literal

from waybill_images.presets import VariantFormat


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


@dataclass(frozen=True, slots=True)
class Animation:
    """How an animated original was rendered."""

    #: None: the file does not declare it.
    frames: int | None
    #: In the WebP variants; a JPEG always has only the first frame.
    kept: Literal["all frames", "first frame"]


@dataclass(frozen=True, slots=True)
class RenderResult:
    """All variants of one original."""

    variants: list[RenderedVariant]
    animation: Animation | None = None
    #: Sentences for the caller about tolerated defects of the original.
    notes: tuple[str, ...] = ()
