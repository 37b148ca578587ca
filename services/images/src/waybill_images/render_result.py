"""What rendering makes."""

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
    """What became of an original that moves."""

    #: None: it does not say.
    frames: int | None
    #: In the WebP variants; a JPEG always stands still.
    kept: Literal["all frames", "first frame"]


@dataclass(frozen=True, slots=True)
class RenderResult:
    """All that was made of one original."""

    variants: list[RenderedVariant]
    animation: Animation | None = None
    #: What the caller should know of an original that is not quite as it should be, in sentences.
    notes: tuple[str, ...] = ()
